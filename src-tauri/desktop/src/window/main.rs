//! `deskgrid-window`: one web view with the user interface, which reaches Deskgrid through its local door only. A
//! program of its own, so that its memory goes when it closes and its end touches no job.

// No black window beside it.
#![cfg_attr(all(windows, not(debug_assertions)), windows_subsystem = "windows")]

mod choose;
mod commands;
mod owner;
mod preview;
mod problem;
mod save;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::Parser;
use deskgrid_desktop::door::Door;
use deskgrid_desktop::{display, link, text};
use tauri::webview::{PageLoadEvent, WebviewWindowBuilder};
use tauri::{App, AppHandle, Manager, Url, WebviewUrl, WebviewWindow, WindowEvent, Wry};
use tauri_plugin_window_state::StateFlags;

use commands::Page;

type Builder = tauri::Builder<Wry>;

/// The one window.
const LABEL: &str = "main";
const SIZE: (f64, f64) = (1080.0, 720.0);
const LEAST_SIZE: (f64, f64) = (720.0, 480.0);
/// A page that is not drawn by then is shown as it is: a window that does not come looks like a click that was lost.
const SHOW_TIMEOUT: Duration = Duration::from_millis(300);

/// The window of Deskgrid
#[derive(Clone, Debug, Parser)]
#[command(name = "deskgrid-window", version)]
struct Flags {
    /// Local door of the running Deskgrid
    #[arg(long, value_name = "PATH", required_unless_present = "problem")]
    door: Option<PathBuf>,
    /// Say why Deskgrid could not start instead, and ask whether to try again
    #[arg(long, value_name = "WORDS")]
    problem: Option<String>,
    /// Place to show first, such as #/queue
    #[arg(long, value_name = "PLACE")]
    link: Option<String>,
    /// Minimise instead of closing
    #[arg(long)]
    keep: bool,
    /// Begin as an entry in the task bar
    #[arg(long)]
    minimised: bool,
    /// Take orders from the input, tell what happens on the output, and end when the input does
    #[arg(long)]
    owned: bool,
}

fn main() -> ExitCode {
    let flags = Flags::parse();
    if !display::is_there() {
        eprintln!("{}", text::NO_DISPLAY);
        return ExitCode::from(display::NO_DISPLAY_CODE);
    }
    if !display_answers() {
        eprintln!("{}", display::no_answer());
        return ExitCode::from(display::NO_DISPLAY_CODE);
    }
    match run(flags) {
        Ok(code) => ExitCode::from(u8::try_from(code).unwrap_or(1)),
        Err(error) => {
            eprintln!("{}", text::window_not_opened(&error.to_string()));
            ExitCode::FAILURE
        }
    }
}

/// Tauri would end the program where GTK finds no display to start on.
#[cfg(target_os = "linux")]
fn display_answers() -> bool {
    gtk::init().is_ok()
}

/// These systems have theirs at hand whenever a person is logged in.
#[cfg(not(target_os = "linux"))]
fn display_answers() -> bool {
    true
}

fn run(flags: Flags) -> Result<i32, Box<dyn std::error::Error>> {
    let builder = tauri::Builder::default().plugin(tauri_plugin_dialog::init());
    let builder = match (&flags.problem, &flags.door) {
        (None, Some(door)) => {
            let page =
                Page::new(Door::at(door)?, flags.link.as_deref().and_then(|link| link::place(link).ok()));
            with_page(builder, page, flags)
        }
        (problem, _) => {
            let words = problem.clone().unwrap_or_default();
            builder.setup(move |app| {
                problem::ask(app, &words);
                Ok(())
            })
        }
    };
    Ok(builder.build(tauri::generate_context!())?.run_return(|_, _| {}))
}

/// Has the window in it, and all that its page may ask for.
fn with_page(builder: Builder, page: Page, flags: Flags) -> Builder {
    let remembered = StateFlags::SIZE | StateFlags::POSITION | StateFlags::MAXIMIZED;
    builder
        .plugin(tauri_plugin_window_state::Builder::new().with_state_flags(remembered).build())
        .register_asynchronous_uri_scheme_protocol(preview::SCHEME, preview::serve)
        .manage(page)
        .manage(Kept(AtomicBool::new(flags.keep)))
        .invoke_handler(tauri::generate_handler![
            commands::api,
            commands::read,
            commands::listen,
            commands::open_external,
            commands::initial_link,
            choose::pick_folder,
            save::save,
            save::save_text,
            save::save_all,
        ])
        .setup(move |app| open(app, &flags))
}

fn open(app: &App, flags: &Flags) -> Result<(), Box<dyn std::error::Error>> {
    let minimised = flags.minimised;
    let window = WebviewWindowBuilder::new(app, LABEL, WebviewUrl::default())
        .title(text::NAME)
        .inner_size(SIZE.0, SIZE.1)
        .min_inner_size(LEAST_SIZE.0, LEAST_SIZE.1)
        .visible(false)
        .on_navigation(is_ours)
        .on_page_load(move |window, load| {
            if load.event() == PageLoadEvent::Finished {
                show(&window, minimised);
            }
        })
        .build()?;
    show_soon(window.clone(), minimised);
    minimise_on_close(&window);
    if flags.owned {
        owner::obey(app.handle().clone());
        owner::report(&window);
    }
    Ok(())
}

/// The page never goes anywhere else, and neither do the frames in it: what it shows of other sites opens in the browser.
fn is_ours(url: &Url) -> bool {
    matches!(url.scheme(), "tauri" | "about" | preview::SCHEME)
        || matches!(url.host_str(), Some("tauri.localhost" | "preview.localhost"))
}

fn show_soon(window: WebviewWindow, minimised: bool) {
    tauri::async_runtime::spawn(async move {
        tokio::time::sleep(SHOW_TIMEOUT).await;
        // On the thread of the windows: in between, whoever asks for the window would have it minimised again.
        let shown = window.clone();
        let _ = window.run_on_main_thread(move || show(&shown, minimised));
    });
}

/// Shows the window, once.
fn show(window: &WebviewWindow, minimised: bool) {
    if window.is_visible().unwrap_or(false) {
        return;
    }
    let shown = if minimised { window.show().and_then(|()| window.minimize()) } else { window.show() };
    if let Err(error) = shown {
        eprintln!("{}", text::window_not_shown(&error.to_string()));
    }
}

/// Whether closing the window only minimises it, because nothing else of Deskgrid can be seen.
struct Kept(AtomicBool);

impl Kept {
    fn set(&self, is_kept: bool) {
        self.0.store(is_kept, Ordering::Relaxed);
    }
}

fn minimise_on_close(window: &WebviewWindow) {
    let seen = window.clone();
    window.on_window_event(move |event| {
        if let WindowEvent::CloseRequested { api, .. } = event
            && seen.state::<Kept>().0.load(Ordering::Relaxed)
        {
            api.prevent_close();
            let _ = seen.minimize();
        }
    });
}

/// Brings the window before the person's eyes, unless it is closing.
fn bring_forward(app: &AppHandle) -> bool {
    let Some(window) = app.get_webview_window(LABEL) else { return false };
    let brought = window.unminimize().and_then(|()| window.show()).and_then(|()| window.set_focus());
    if let Err(error) = brought {
        eprintln!("{}", text::window_not_forward(&error.to_string()));
    }
    // One that is closing does nothing of this, and knows of itself no more. One that is only starting may not be
    // visible yet, and will be.
    window.is_visible().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_stays_where_it_is() {
        let ours = |url| is_ours(&Url::parse(url).unwrap());
        assert!(ours("tauri://localhost/index.html#/queue") && ours("http://tauri.localhost/"));
        assert!(
            !ours("https://example.org/") && !ours("file:///etc/passwd") && !ours("http://localhost:8000/")
        );
    }
}
