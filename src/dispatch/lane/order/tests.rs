//! Order beside a model that keeps a list of everything and looks through all of it.

use super::*;
use crate::deliver::Message;
use crate::model::{DeliveryId, EventKind, SubscriptionId, WebhookId};
use bytes::Bytes;
use proptest::prelude::*;

const ROOM: usize = 6;
const REPLAY: Position = Position(1);

#[derive(Debug, Clone)]
enum Step {
    Accept(u8),
    Replay(u8),
    Again(u8),
    Take,
    TakeAll,
    Land(u8, bool),
    GiveUp(u8),
    Forget(u8),
    EndReplay,
    DropBodies,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        12 => (0..4_u8).prop_map(Step::Accept),
        3 => (0..4_u8).prop_map(Step::Replay),
        1 => (0..4_u8).prop_map(Step::Again),
        8 => Just(Step::Take),
        4 => Just(Step::TakeAll),
        12 => (any::<u8>(), any::<bool>()).prop_map(|(which, over)| Step::Land(which, over)),
        1 => any::<u8>().prop_map(Step::GiveUp),
        1 => any::<u8>().prop_map(Step::Forget),
        1 => Just(Step::EndReplay),
        1 => Just(Step::DropBodies),
    ];
    proptest::collection::vec(step, 0..200)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// In the lane's queue: order knows nothing of it.
    Queued,
    Waits,
    Flies,
    Over,
}

/// One delivery, in the model's list.
#[derive(Debug)]
struct Item {
    waiting: Waiting,
    state: State,
}

/// A lane as far as order is concerned, and the model: all deliveries, in the order in which they came.
#[derive(Default)]
struct Bench {
    order: Order,
    items: Vec<Item>,
    queue: VecDeque<usize>,
    /// What may go when it is due, which is at once.
    due: Vec<Waiting>,
}

fn visitor(number: u8) -> Visitor {
    Visitor::of(&format!("v{number}")).unwrap()
}

fn event(position: Position, visitor: Visitor) -> Arc<Event> {
    Arc::new(Event {
        position,
        subscription: SubscriptionId(1),
        kind: EventKind::TrackEventReceived,
        visitor: Some(visitor),
        accepted_at: UnixMs(0),
        message: Message { unique_id: String::new(), body: Bytes::from_static(b"{}") },
    })
}

impl Bench {
    fn step(&mut self, step: &Step) {
        match step {
            Step::Accept(number) => {
                self.queue.push_back(self.items.len());
                self.add(*number, Part::Live, State::Queued);
            }
            Step::Replay(number) => self.add(*number, Part::Replayed, State::Waits),
            Step::Again(number) => self.add(*number, Part::Again, State::Waits),
            Step::Take => drop(self.take()),
            Step::TakeAll => self.take_all(),
            Step::Land(which, over) => self.land(usize::from(*which), *over),
            Step::GiveUp(which) if !self.due.is_empty() => {
                let gone = self.due.swap_remove(usize::from(*which) % self.due.len());
                self.item(&gone).state = State::Over;
                self.due.extend(self.order.give_up(&gone));
            }
            Step::Forget(number) => self.remove(|event, _| event.0 % 5 == u64::from(*number) % 5),
            Step::EndReplay => self.remove(|_, replay| replay == Some(REPLAY)),
            Step::DropBodies => self.order.drop_bodies(),
            Step::GiveUp(_) => {}
        }
        assert!(self.order.unattempted() <= ROOM);
        assert_eq!(self.order.bytes(), 2 * self.order.firsts().filter(|first| first.event.is_some()).count());
        let waits = self.items.iter().filter(|item| item.state == State::Waits).count();
        assert_eq!(self.order.unattempted() + self.order.kept_back() + self.due.len(), waits);
    }

    fn add(&mut self, number: u8, part: Part, state: State) {
        let event = Position(self.items.len() as u64 + 10);
        let origin = if part == Part::Live { event } else { Position(event.0 + 1_000_000) };
        let waiting = Waiting {
            due: UnixMs(0),
            delivery: DeliveryId { webhook: WebhookId(1), origin },
            event,
            attempts: 0,
            replay: (part == Part::Replayed).then_some(REPLAY),
            since: UnixMs(0),
            visitor: Some(visitor(number)),
        };
        self.items.push(Item { waiting, state });
        if state == State::Waits {
            self.due.extend(self.order.wait(waiting));
        }
    }

    fn item(&mut self, waiting: &Waiting) -> &mut Item {
        self.items.iter_mut().find(|item| item.waiting.delivery == waiting.delivery).unwrap()
    }

    /// What goes next, as a lane finds it; whether there is anything.
    fn take(&mut self) -> bool {
        while let Some(due) = self.due.pop() {
            if let Some(waiting) = self.order.pass(due) {
                return self.fly(&waiting);
            }
        }
        if let Some(first) = self.order.take_ready() {
            let index = first.position.0 as usize - 10;
            return self.fly(&self.items[index].waiting.clone());
        }
        while let Some(index) = self.queue.front().copied() {
            let waiting = self.items[index].waiting;
            let visitor = waiting.visitor.unwrap();
            if !self.order.blocks(visitor) {
                self.queue.pop_front();
                self.order.begin(visitor, Part::Live);
                return self.fly(&waiting);
            }
            if !self.order.has_room(ROOM) {
                return false;
            }
            self.queue.pop_front();
            self.items[index].state = State::Waits;
            self.order.park(&event(waiting.event, visitor), visitor, index % 2 == 0);
        }
        false
    }

    /// A request begins: alone of its visitor, and of the first that is not over.
    fn fly(&mut self, waiting: &Waiting) -> bool {
        let part = waiting.part();
        for other in self.items.iter().filter(|item| item.waiting.visitor == waiting.visitor) {
            assert_ne!(other.state, State::Flies, "{waiting:?} beside {other:?}");
            let is_before = other.waiting.event < waiting.event && other.waiting.part() == part && part != Part::Again;
            assert!(!is_before || other.state == State::Over, "{waiting:?} before {other:?}");
        }
        self.item(waiting).state = State::Flies;
        self.order.fly(waiting.visitor.unwrap());
        true
    }

    /// Then whoever could go has gone.
    fn take_all(&mut self) {
        while self.take() {}
        let blocked = self.queue.front().map(|index| self.items[*index].waiting.visitor.unwrap());
        assert!(blocked.is_none_or(|visitor| self.order.blocks(visitor) && !self.order.has_room(ROOM)));
        for number in 0..4 {
            let theirs = || self.items.iter().filter(|item| item.waiting.visitor == Some(visitor(number)));
            let waits = theirs().any(|item| item.state == State::Waits);
            assert!(!waits || theirs().any(|item| item.state == State::Flies), "{number} stands still");
        }
    }

    fn land(&mut self, which: usize, over: bool) {
        let flying: Vec<_> = self.items.iter().filter(|item| item.state == State::Flies).map(|i| i.waiting).collect();
        let Some(landed) = flying.get(which % flying.len().max(1)) else { return };
        let item = self.item(landed);
        item.state = if over { State::Over } else { State::Waits };
        item.waiting.attempts += 1;
        let again = item.waiting;
        self.due.extend(self.order.land(landed.visitor.unwrap(), landed.part(), over));
        self.due.extend(Some(again).filter(|_| !over));
    }

    fn remove(&mut self, is_gone: impl Fn(Position, Option<Position>) -> bool) {
        let (gone, kept) = self.due.drain(..).partition(|waiting| is_gone(waiting.event, waiting.replay));
        self.due = kept;
        let gone: Vec<Waiting> = gone;
        for item in self.items.iter_mut().filter(|item| item.state == State::Waits) {
            if is_gone(item.waiting.event, item.waiting.replay) {
                item.state = State::Over;
            }
        }
        self.due.extend(self.order.remove(&is_gone).1);
        gone.iter().for_each(|waiting| self.due.extend(self.order.give_up(waiting)));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// Whatever happens: in order, one at a time, within bounds, none forgotten, and nobody stands still without cause.
    #[test]
    fn each_visitor_is_served_in_order_one_request_at_a_time(steps in steps()) {
        let mut bench = Bench::default();
        steps.iter().for_each(|step| bench.step(step));
        while bench.items.iter().any(|item| item.state != State::Over) {
            bench.step(&Step::TakeAll);
            bench.step(&Step::Land(0, true));
        }
        prop_assert!(bench.order.lines.is_empty(), "nothing is kept of who has nothing on the way");
    }
}
