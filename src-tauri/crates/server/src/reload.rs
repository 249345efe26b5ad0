//! Carries changed settings to the parts that can take them on while the server runs.

use std::sync::Arc;

use deskgrid_docker::EngineWatch;
use deskgrid_http::AccessRules;
use deskgrid_worker::Limits;
use tokio::sync::watch;

use crate::settings::SettingsWatch;
use crate::{limits, rules};

/// Follows the settings until the watch ends.
pub(crate) async fn follow(
    watch: SettingsWatch,
    port: u16,
    limit_sender: watch::Sender<Limits>,
    access: watch::Sender<AccessRules>,
    engine: Arc<EngineWatch>,
) {
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
        limit_sender.send_replace(limits(&new));
        access.send_replace(rules(&new, port));
        if new.docker_host != old.docker_host {
            engine.set_preferred(new.docker_host.clone());
        }
        tracing::info!("took on the changed settings");
        old = new;
    }
}
