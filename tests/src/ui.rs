//! The user interface as a person uses it, in whatever shows it: a browser or the window of the app.

#![allow(async_fn_in_trait, reason = "tests await these where they stand")]

use serde_json::{Value, json};

/// A page that shows the user interface.
pub trait Ui {
    /// The value of an expression on the page.
    async fn value(&mut self, expression: &str) -> Value;

    /// Waits until an expression on the page is true.
    async fn until(&mut self, expression: &str);

    /// Goes to a screen.
    async fn goes_to(&mut self, place: &str) {
        self.value(&format!("location.hash = '#/{place}'; 0")).await;
    }

    /// Loads the page again and waits for the new one: the old one answers until then.
    async fn reloads(&mut self) {
        self.value("window.isOld = true; location.reload(); 0").await;
        self.until("window.isOld === undefined").await;
    }

    /// Waits until a part of the page is there.
    async fn sees(&mut self, part: &str) {
        self.until(&format!("document.querySelector('[data-testid=\"{part}\"]') !== null")).await;
    }

    /// Waits until a part of the page is gone.
    async fn misses(&mut self, part: &str) {
        self.until(&format!("document.querySelector('[data-testid=\"{part}\"]') === null")).await;
    }

    /// Clicks on a part of the page, once it is there and can be clicked on; on the first of several that can be.
    async fn clicks(&mut self, part: &str) {
        // In one step: what is found may be drawn anew in the next.
        self.until(&format!(
            "(() => {{ const found = document.querySelector('[data-testid=\"{part}\"]:not(:disabled)'); \
             found?.click(); return found !== null; }})()"
        ))
        .await;
    }

    /// Waits until so many of these parts are there.
    async fn counts(&mut self, part: &str, number: usize) {
        self.until(&format!("document.querySelectorAll('[data-testid=\"{part}\"]').length === {number}"))
            .await;
    }

    /// Waits until the text of a part is, or has, this one.
    async fn reads_in(&mut self, part: &str, text: &str) {
        let found = format!("document.querySelector('[data-testid=\"{part}\"]')");
        self.until(&format!("{found} !== null && {found}.innerText.includes({})", json!(text))).await;
    }

    /// Waits until the page shows a text.
    async fn reads(&mut self, text: &str) {
        self.until(&format!("document.body.innerText.includes({})", json!(text))).await;
    }

    /// Chooses a text in a field, as leaving it does.
    async fn writes(&mut self, part: &str, text: &str) {
        self.sees(part).await;
        let script = format!(
            "(() => {{ const field = document.querySelector('[data-testid=\"{part}\"]'); field.focus(); \
             field.value = {}; field.dispatchEvent(new Event('input', {{bubbles: true}})); \
             field.dispatchEvent(new Event('change', {{bubbles: true}})); field.blur(); }})()",
            json!(text)
        );
        self.value(&script).await;
    }
}
