//! Says that Deskgrid could not start, where no icon can say it, and asks whether it is to be tried again. There is no
//! page in it: nobody would be behind the door that a page goes through.

use tauri::App;
use tauri_plugin_dialog::{DialogExt, MessageDialogButtons, MessageDialogKind};

use deskgrid_desktop::display::TRY_AGAIN_CODE;
use deskgrid_desktop::text;

/// Asks, and ends the program with the answer as its exit code.
pub(crate) fn ask(app: &App, words: &str) {
    let handle = app.handle().clone();
    let buttons = MessageDialogButtons::OkCancelCustom(text::TRY_AGAIN.to_owned(), text::QUIT.to_owned());
    let dialog = app.dialog().message(words).title(text::NOT_STARTED);
    let dialog = dialog.kind(MessageDialogKind::Error).buttons(buttons);
    dialog.show(move |tries_again| handle.exit(if tries_again { TRY_AGAIN_CODE.into() } else { 0 }));
}
