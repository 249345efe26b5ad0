//! The dashboard of a server in a real browser, signed in.

use serde_json::Value;

use crate::browser::Browser;
use crate::door::Door;
use crate::server::Deskgrid;
use crate::ui::Ui;

/// A signed-in dashboard.
pub struct Dashboard {
    /// The tab.
    pub page: Browser,
    /// Another way in to the same server.
    pub door: Door,
    /// What it shows.
    pub server: Deskgrid,
}

impl Dashboard {
    /// That of a new server.
    pub async fn open() -> Self {
        Self::over(Deskgrid::start().await).await
    }

    /// That of `server`.
    pub async fn over(server: Deskgrid) -> Self {
        let door = Door::of(&server.data());
        let ticket = door.post("/api/ticket", &Value::Null).await;
        let page = Browser::open(ticket["address"].as_str().expect("an address")).await;
        let mut dashboard = Self { page, door, server };
        dashboard.sees("sidebar").await;
        dashboard
    }
}

impl Ui for Dashboard {
    async fn value(&mut self, expression: &str) -> Value {
        self.page.run(expression).await
    }

    async fn until(&mut self, expression: &str) {
        self.page.until(expression).await;
    }
}
