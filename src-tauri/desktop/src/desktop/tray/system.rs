//! The trays of macOS and Windows, by the system's own calls. Those want the main thread and its event loop; the app
//! runs beside it.

use std::future::Future;

use deskgrid_desktop::link;
use tao::event::Event;
use tao::event_loop::{ControlFlow, EventLoop, EventLoopBuilder, EventLoopProxy};
use tao::platform::run_return::EventLoopExtRunReturn;
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};
use tray_icon::menu::{CheckMenuItem, IsMenuItem, Menu, MenuEvent, MenuItem, PredefinedMenuItem, Submenu};
use tray_icon::{MouseButton, MouseButtonState, TrayIcon, TrayIconBuilder, TrayIconEvent};

use super::picture::Picture;
use super::{TrayPort, ends};
use crate::click::Click;
use crate::view::{Entry, Icon, View};
use deskgrid_desktop::text;

/// What wakes the event loop.
enum Wake {
    Show(View),
    Over,
}

/// Runs `app` with a tray until it is over.
///
/// # Panics
/// When the app does: its panic goes on here.
pub(crate) fn run<T, F>(runtime: &Runtime, app: impl FnOnce(TrayPort) -> F) -> T
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let (port, end) = ends();
    let mut events = event_loop();
    pass_clicks_on(&end.clicks);
    runtime.spawn(pass_views_on(end.view, events.create_proxy()));
    let over = events.create_proxy();
    let app = app(port);
    let app = runtime.spawn(async move {
        let _over = TellOver(over);
        app.await
    });
    show_all(&mut events, &end.is_shown, &end.clicks);
    match runtime.block_on(app) {
        Ok(outcome) => outcome,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

/// The event loop ends with the app, even when the app panics.
struct TellOver(EventLoopProxy<Wake>);

impl Drop for TellOver {
    fn drop(&mut self) {
        let _ = self.0.send_event(Wake::Over);
    }
}

fn event_loop() -> EventLoop<Wake> {
    #[allow(unused_mut, reason = "only macOS changes it")]
    let mut events = EventLoopBuilder::<Wake>::with_user_event().build();
    #[cfg(target_os = "macos")]
    {
        use tao::platform::macos::{ActivationPolicy, EventLoopExtMacOS};
        // No place in the Dock: the window has its own.
        events.set_activation_policy(ActivationPolicy::Accessory);
    }
    events
}

async fn pass_views_on(mut views: watch::Receiver<Option<View>>, proxy: EventLoopProxy<Wake>) {
    while views.changed().await.is_ok() {
        let view = views.borrow_and_update().clone();
        if view.is_some_and(|view| proxy.send_event(Wake::Show(view)).is_err()) {
            return;
        }
    }
}

fn pass_clicks_on(clicks: &mpsc::UnboundedSender<Click>) {
    let menu = clicks.clone();
    MenuEvent::set_event_handler(Some(move |event: MenuEvent| {
        if let Ok(click) = serde_json::from_str(&event.id().0) {
            let _ = menu.send(click);
        }
    }));
    let icon = clicks.clone();
    TrayIconEvent::set_event_handler(Some(move |event| {
        let is_click = matches!(
            event,
            TrayIconEvent::Click { button: MouseButton::Left, button_state: MouseButtonState::Up, .. }
        );
        // macOS opens the menu for this, as people there expect.
        if is_click && cfg!(windows) {
            let _ = icon.send(Click::OpenWindow);
        }
    }));
}

fn show_all(
    events: &mut EventLoop<Wake>,
    is_shown: &watch::Sender<Option<bool>>,
    clicks: &mpsc::UnboundedSender<Click>,
) {
    let mut tray: Option<TrayIcon> = None;
    events.run_return(|event, _, control| {
        *control = ControlFlow::Wait;
        match event {
            Event::UserEvent(Wake::Over) => *control = ControlFlow::Exit,
            Event::UserEvent(Wake::Show(view)) => {
                if let Err(error) = show(&mut tray, &view) {
                    tracing::warn!(%error, "the tray does not take our icon");
                }
                is_shown.send_replace(Some(tray.is_some()));
            }
            // On macOS the system starts no second app but tells the running one.
            Event::Reopen { .. } => {
                let _ = clicks.send(Click::OpenWindow);
            }
            Event::Opened { urls } => {
                let places = urls.iter().filter_map(|url| link::place(url.as_str()).ok());
                places.for_each(|place| drop(clicks.send(Click::OpenPlace(place))));
            }
            _ => {}
        }
    });
}

fn show(tray: &mut Option<TrayIcon>, view: &View) -> Result<(), Box<dyn std::error::Error>> {
    let menu = menu(&view.entries)?;
    if let Some(tray) = tray {
        tray.set_menu(Some(Box::new(menu)));
    } else {
        let builder = TrayIconBuilder::new().with_menu(Box::new(menu));
        *tray = Some(builder.with_menu_on_left_click(cfg!(target_os = "macos")).build()?);
    }
    let Some(tray) = tray else { return Ok(()) };
    tray.set_tooltip(Some(format!("{}: {}", text::NAME, view.status)))?;
    set_icon(tray, view.icon)
}

#[cfg(target_os = "macos")]
fn set_icon(tray: &TrayIcon, icon: Icon) -> Result<(), Box<dyn std::error::Error>> {
    let picture = super::picture::shape(icon).map(icon_of).transpose()?;
    tray.set_icon_with_as_template(picture, true)?;
    tray.set_title(match icon {
        Icon::Busy(count) => Some(count.to_string()),
        _ => None,
    });
    Ok(())
}

#[cfg(not(target_os = "macos"))]
fn set_icon(tray: &TrayIcon, icon: Icon) -> Result<(), Box<dyn std::error::Error>> {
    let picture = super::picture::pictures(icon).pop().map(icon_of).transpose()?;
    Ok(tray.set_icon(picture)?)
}

fn icon_of(picture: Picture) -> Result<tray_icon::Icon, tray_icon::BadIcon> {
    tray_icon::Icon::from_rgba(picture.rgba, picture.width, picture.height)
}

fn menu(entries: &[Entry]) -> Result<Menu, Box<dyn std::error::Error>> {
    let menu = Menu::new();
    for entry in entries {
        menu.append(item(entry)?.as_ref())?;
    }
    Ok(menu)
}

fn item(entry: &Entry) -> Result<Box<dyn IsMenuItem>, Box<dyn std::error::Error>> {
    Ok(match entry {
        Entry::Line => Box::new(PredefinedMenuItem::separator()),
        Entry::Words(words) => Box::new(MenuItem::new(plain(words), false, None)),
        Entry::Item { label, click, greyed } => {
            Box::new(MenuItem::with_id(serde_json::to_string(click)?, plain(label), !greyed, None))
        }
        Entry::Check { label, click, on } => {
            Box::new(CheckMenuItem::with_id(serde_json::to_string(click)?, plain(label), true, *on, None))
        }
        Entry::Group { label, entries } => {
            let group = Submenu::new(plain(label), true);
            for entry in entries {
                group.append(item(entry)?.as_ref())?;
            }
            Box::new(group)
        }
    })
}

/// A single ampersand would mark the next letter as a shortcut.
fn plain(label: &str) -> String {
    label.replace('&', "&&")
}
