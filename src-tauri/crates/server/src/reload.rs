//! Carries changed settings to the parts that can take them on while the server runs.

use std::sync::Arc;

use deskgrid_docker::EngineWatch;
use deskgrid_http::{AccessRules, Invitations};
use deskgrid_worker::{Limits, SiteRulesByCaller, Worker};
use tokio::sync::watch;

use crate::books::{self, Books};
use crate::settings::{Settings, SettingsWatch};
use crate::{limits, rules};

/// The parts of a running server that follow the settings.
pub(crate) struct Parts {
    pub(crate) limits: watch::Sender<Limits>,
    pub(crate) access: watch::Sender<AccessRules>,
    pub(crate) invitations: Invitations,
    pub(crate) site_rules: watch::Sender<SiteRulesByCaller>,
    pub(crate) engine: Arc<EngineWatch>,
    pub(crate) worker: Worker,
    pub(crate) books: Arc<Books>,
}

impl Parts {
    fn take_on(&self, new: &Settings, old: &Settings) {
        self.limits.send_replace(limits(new));
        // Where we listen is the porter's, and with that whether everything needs the token.
        self.access.send_modify(|known| {
            *known = AccessRules { needs_token: known.needs_token, ..rules(new, known.port) };
        });
        self.invitations.replace(new.sites.clone(), new.allowed_origins.clone());
        self.site_rules.send_replace(books::site_rules(&new.sites));
        if new.docker_host != old.docker_host {
            self.engine.set_preferred(new.docker_host.clone());
        }
        self.worker.set_cache_limit(new.cache_limit);
        self.worker.set_disk_reserve(new.disk_reserve);
        self.books.tell();
    }
}

/// Follows the settings until the watch ends.
pub(crate) async fn follow(watch: SettingsWatch, parts: Parts) {
    let mut settings = watch.subscribe();
    let mut old = settings.borrow_and_update().clone();
    while settings.changed().await.is_ok() {
        let new = settings.borrow_and_update().clone();
        for key in new.changes_needing_restart(&old) {
            tracing::warn!(
                setting = key.in_file(),
                "this setting takes effect at the next start of Deskgrid"
            );
        }
        parts.take_on(&new, &old);
        tracing::info!("took on the changed settings");
        old = new;
    }
}
