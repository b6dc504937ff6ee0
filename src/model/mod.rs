//! Plain types that every stage shares. No IO, and nothing of ours is imported here.

mod causes;
mod delivery;
mod entry;
mod event;
mod exclusion;
mod guide;
mod ids;
pub mod metadata;
mod notice;
mod person;
mod receiver;
mod secret;
mod time;
mod webhook;

pub use causes::{OutOfReach, is_out_of_reach, with_causes};
pub use delivery::{AttemptClass, DeliveryState, Phase, Reason, Timings, Verdict};
pub use entry::{
    Audited, Backlog, CarriedEntry, CategorySwitch, Checkpoint, Closed, ClosedWhy, Entry, EventEntry, GuideDid,
    GuideEntry, HeldEntry, Items, LaneMark, MergedEntry, MetadataEntry, OutcomeEntry, ReceiverIs, ReceiverNews,
    Redelivery, Replay, ReplayChoice, ReplayEnd, ReplayEnded, Resend, ShapedOutcome, Switch, VisitEntry,
};
pub use event::{Category, CategorySet, EventKind, Selection, Withheld};
pub use exclusion::ExclusionKind;
pub use guide::{Choice, GuideHistory, GuideProperties, GuideState, GuideStep, Poll, PollType, UserRef};
pub use ids::{
    AppId, DeliveryId, DoNotProcessId, EventId, ExclusionId, ForgetJobId, KeyId, PersonHash, Position, ReplayId,
    SubscriptionId, UniqueId, UserId, WebhookId,
};
pub use notice::{IncidentKind, LastAnswer, Mailed, Notice};
pub use person::{PersonKind, is_anonymous, parent_account};
pub use receiver::{Auth, ClientCertificate, ClientCredentials, Format, Header, Keys, Old, Preset, WebhookKind};
pub use secret::Secret;
pub use time::UnixMs;
pub use webhook::{Endpoint, EndpointError, Platform, Scheme, SigningKey, WebhookState};
