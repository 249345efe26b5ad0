//! The clipboard of the desktop. On some desktops a copied text lives as long as the program that copied it, which is
//! why it is kept open here.

use std::sync::{Arc, Mutex, PoisonError};

/// Opened when first used: until then it costs nothing.
#[derive(Clone, Default)]
pub(crate) struct Clipboard(Arc<Mutex<Option<arboard::Clipboard>>>);

impl Clipboard {
    /// Puts `text` into the clipboard.
    ///
    /// # Errors
    /// The desktop's words when it has none.
    pub(crate) async fn copy(&self, text: String) -> Result<(), String> {
        let clipboard = self.clone();
        let copied = tokio::task::spawn_blocking(move || clipboard.copy_now(text)).await;
        copied.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
    }

    fn copy_now(&self, text: String) -> Result<(), arboard::Error> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if open.is_none() {
            *open = Some(arboard::Clipboard::new()?);
        }
        open.as_mut().map_or(Ok(()), |clipboard| clipboard.set_text(text))
    }
}
