//! What every journal must pass, whatever it is kept on.

use super::{AppendError, Group, Journal, ReadError};
use crate::model::{Entry, Position, Redelivery, UnixMs, WebhookId};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Opens the journal under test: a fresh one at the first call, the same one again at each later call, once the one
/// before was dropped.
pub(crate) type Open<'a> = &'a dyn Fn() -> Arc<dyn Journal>;

/// An entry that tells which one it is.
pub(crate) fn entry(n: u64) -> Entry<'static> {
    Entry::Redelivery(Redelivery { webhook: WebhookId(7), event: Position(n), at: UnixMs(1_700_000_000_000) })
}

/// A group of the entries with these numbers.
pub(crate) fn group(numbers: impl IntoIterator<Item = u64>) -> Group {
    let mut group = Group::new();
    numbers.into_iter().for_each(|n| group.push(&entry(n)));
    group
}

/// Everything in a journal: the numbers of its entries, by position.
pub(crate) fn read_all(journal: &dyn Journal, budget: usize) -> Result<BTreeMap<u64, u64>, ReadError> {
    let (mut from, mut all) = (journal.oldest(), BTreeMap::new());
    loop {
        let chunk = journal.read(from, budget)?;
        if chunk.is_empty() {
            return Ok(all);
        }
        assert!(chunk.next() > from, "a read gets on");
        for item in chunk.entries() {
            let (position, entry) = item?;
            // Where a journal notes who writes it.
            if entry == Entry::Erased {
                continue;
            }
            let Entry::Redelivery(Redelivery { event, .. }) = entry else { panic!("{entry:?}") };
            assert!(position >= from && position < chunk.next());
            assert!(all.last_key_value().is_none_or(|(last, _)| *last < position.0), "in order");
            all.insert(position.0, event.0);
        }
        from = chunk.next();
    }
}

/// Runs every rule.
pub(crate) async fn every_rule(open: &dyn Fn() -> Arc<dyn Journal>) {
    an_acknowledged_group_is_readable_and_survives(open).await;
    order_is_the_order_of_the_calls(open).await;
    records_keep_their_place_among_appends(open).await;
    durable_is_told_after_it_is_readable(open).await;
    reading_starts_anywhere(open).await;
    too_large_is_refused_whole(open).await;
}

async fn an_acknowledged_group_is_readable_and_survives(open: Open<'_>) {
    let journal = open();
    assert!(read_all(&*journal, 1000).unwrap().is_empty());
    let first = journal.append(group(1..=3)).await.unwrap();
    assert!(first > Position::ZERO);
    let expected: BTreeMap<_, _> = (0..3).map(|n| (first.0 + n, n + 1)).collect();
    assert_eq!(read_all(&*journal, 1).unwrap(), expected);
    assert_eq!(*journal.durable().borrow(), first.plus(2));
    drop(journal);
    let journal = open();
    assert_eq!(read_all(&*journal, 1 << 20).unwrap(), expected, "after a restart");
    assert!(journal.append(group([4])).await.unwrap() > first.plus(2), "positions only grow");
}

async fn order_is_the_order_of_the_calls(open: Open<'_>) {
    let journal = open();
    let answers: Vec<_> = (100..400).map(|n| journal.append(group([n, n]))).collect();
    let mut last = Position::ZERO;
    for answer in answers {
        let position = answer.await.unwrap();
        assert!(position > last.next() || last == Position::ZERO);
        last = position;
    }
    let numbers: Vec<_> = read_all(&*journal, 777).unwrap().into_values().filter(|n| *n >= 100).collect();
    assert_eq!(numbers, (100..400).flat_map(|n| [n, n]).collect::<Vec<_>>());
}

async fn records_keep_their_place_among_appends(open: Open<'_>) {
    let journal = open();
    let before = *journal.durable().borrow();
    let first = journal.append(group([1001]));
    journal.record(group([1002]));
    let last = journal.append(group([1003]));
    let (first, last) = (first.await.unwrap(), last.await.unwrap());
    assert!(first > before && last > first);
    let all = read_all(&*journal, 1 << 20).unwrap();
    assert_eq!(all.range(first.0..).map(|(_, n)| *n).collect::<Vec<_>>(), [1001, 1002, 1003]);
}

async fn durable_is_told_after_it_is_readable(open: Open<'_>) {
    let journal = open();
    let mut durable = journal.durable();
    let from = durable.borrow_and_update().next();
    let answers: Vec<_> = (2000..2050).map(|n| journal.append(group([n]))).collect();
    let mut seen = 0;
    while seen < 50 {
        durable.changed().await.unwrap();
        let told = *durable.borrow_and_update();
        let all = read_all(&*journal, 1 << 20).unwrap();
        assert!(*all.last_key_value().unwrap().0 >= told.0);
        seen = all.range(from.0..).count();
    }
    for answer in answers {
        answer.await.unwrap();
    }
}

async fn reading_starts_anywhere(open: Open<'_>) {
    let journal = open();
    journal.append(group(3000..3010)).await.unwrap();
    let all = read_all(&*journal, 1 << 20).unwrap();
    for (position, number) in &all {
        let chunk = journal.read(Position(*position), 1).unwrap();
        let (found, entry) = chunk.entries().next().unwrap().unwrap();
        assert_eq!((found.0, entry), (*position, self::entry(*number)));
    }
    let beyond = journal.durable().borrow().next();
    let chunk = journal.read(beyond, 1000).unwrap();
    assert!(chunk.is_empty() && chunk.next() == beyond);
}

async fn too_large_is_refused_whole(open: Open<'_>) {
    let journal = open();
    let before = read_all(&*journal, 1 << 20).unwrap();
    let huge = group(0..crate::limits::JOURNAL_PENDING_BYTES as u64 / 8);
    let answer = journal.append(huge).await;
    assert!(matches!(answer, Err(AppendError::TooLarge(_) | AppendError::Overloaded)), "{answer:?}");
    assert_eq!(read_all(&*journal, 1 << 20).unwrap(), before);
}
