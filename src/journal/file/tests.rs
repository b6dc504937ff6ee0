//! The journal as a whole, on the system's disk and on one that fails as told.

use super::{FileJournal, SystemDisk};
use crate::clock::SystemClock;
use crate::config::JournalSettings;
use crate::journal::{Journal, contract};
use std::sync::Arc;
use std::time::Duration;

fn settings(segment_bytes: u64) -> JournalSettings {
    JournalSettings { segment_bytes, max_age: Duration::from_secs(3600), max_bytes: u64::MAX }
}

#[tokio::test]
async fn the_contract_holds_on_the_systems_disk() {
    for segment_bytes in [16 * 1024, 1024 * 1024] {
        let dir = tempfile::tempdir().unwrap();
        let open = || -> Arc<dyn Journal> {
            let settings = settings(segment_bytes);
            Arc::new(FileJournal::open(dir.path(), &settings, Arc::new(SystemClock), Arc::new(SystemDisk)).unwrap())
        };
        contract::every_rule(&open).await;
    }
}
