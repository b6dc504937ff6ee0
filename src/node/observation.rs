//! Health and metrics. What is cheaper to look at than to keep up to date is looked at when somebody asks.

use super::Node;
use crate::catalog::Catalog;
use crate::dispatch::Scheduler;
use crate::intake::Intake;
use crate::journal::Backend;
use crate::model::WebhookState;
use crate::observe::{self, Metrics};
use crate::store::projection::{Projection, Table};
use std::sync::Arc;

/// Where figures are looked at.
#[derive(Clone)]
struct Sources {
    journal: Arc<dyn Backend>,
    projection: Arc<Projection>,
    catalog: Arc<Catalog>,
    scheduler: Arc<Scheduler>,
    intake: Arc<Intake>,
}

/// The addresses that an operator's tools ask.
pub(super) fn router(node: &Node) -> axum::Router {
    let (journal, records) = (Arc::clone(&node.journal), Arc::clone(&node.projection));
    let ready = move || match journal.accepting() {
        Err(error) => Err(error.to_string()),
        Ok(()) => records.problem().map_or(Ok(()), Err),
    };
    let sources = Sources {
        journal: Arc::clone(&node.journal),
        projection: Arc::clone(&node.projection),
        catalog: Arc::clone(&node.catalog),
        scheduler: node.dispatcher.scheduler(),
        intake: Arc::clone(&node.intake),
    };
    let refresh = move |metrics: Arc<Metrics>| {
        let sources = sources.clone();
        async move { sources.show(&metrics).await }
    };
    observe::router(Arc::clone(&node.metrics), ready, refresh)
}

impl Sources {
    async fn show(&self, metrics: &Metrics) {
        metrics.journal.show(&self.journal.stats());
        let stats = self.projection.stats();
        let dropped = Table::ALL.map(|table| (table.name(), stats.dropped.of(table)));
        metrics.projection.show(stats.lag, dropped, stats.missed);
        metrics.intake.held.set(self.intake.held() as i64);
        self.scheduler.show(metrics);
        let current = self.catalog.current();
        let turned_off = current.webhooks.values().filter(|webhook| webhook.state == WebhookState::TurnedOff);
        metrics.dispatch.turned_off.set(turned_off.count() as i64);
        match self.catalog.mail().stats().await {
            Ok(mail) => metrics.mail.show([mail.queued, mail.sent, mail.failed], mail.waiting),
            Err(error) => tracing::warn!(%error, "the queue of mails cannot be counted"),
        }
        match self.catalog.dropped().await {
            Ok(dropped) => metrics.store.show(dropped),
            Err(error) => tracing::warn!(%error, "what was dropped of the configuration cannot be read"),
        }
    }
}
