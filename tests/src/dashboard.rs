//! The dashboard of a server in a real browser, signed in and used as a person does.

use serde_json::{Value, json};

use crate::browser::Browser;
use crate::door::Door;
use crate::server::Deskgrid;

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

    /// Goes to a screen.
    pub async fn goes_to(&mut self, place: &str) {
        self.page.run(&format!("location.hash = '#/{place}'; 0")).await;
    }

    /// Waits until a part of the page is there.
    pub async fn sees(&mut self, part: &str) {
        self.page.until(&format!("document.querySelector('[data-testid=\"{part}\"]') !== null")).await;
    }

    /// Clicks on a part of the page, once it is there and can be clicked on.
    pub async fn clicks(&mut self, part: &str) {
        let found = format!("document.querySelector('[data-testid=\"{part}\"]')");
        self.page.until(&format!("{found} !== null && !{found}.disabled")).await;
        self.page.run(&format!("{found}.click()")).await;
    }

    /// Waits until the page shows a text.
    pub async fn reads(&mut self, text: &str) {
        self.page.until(&format!("document.body.innerText.includes({})", json!(text))).await;
    }

    /// Chooses a text in a field, as leaving it does.
    pub async fn writes(&mut self, part: &str, text: &str) {
        self.sees(part).await;
        let script = format!(
            "(() => {{ const field = document.querySelector('[data-testid=\"{part}\"]'); field.focus(); \
             field.value = {}; field.dispatchEvent(new Event('input', {{bubbles: true}})); \
             field.dispatchEvent(new Event('change', {{bubbles: true}})); field.blur(); }})()",
            json!(text)
        );
        self.page.run(&script).await;
    }
}
