//! The tray of Linux desktops: a `StatusNotifierItem` with its menu, spoken over D-Bus. No graphics library takes part,
//! which is why the app stays small.

use std::future::Future;

use ksni::menu::{CheckmarkItem, StandardItem, SubMenu};
use ksni::{Handle, MenuItem, OfflineReason, ToolTip, Tray, TrayMethods};
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};

use super::picture::pictures;
use super::{TrayEnd, TrayPort, ends};
use crate::click::Click;
use crate::view::{Entry, Icon, View};
use deskgrid_desktop::text;

/// Runs `app` with a tray until it is over.
pub(crate) fn run<T, F>(runtime: &Runtime, app: impl FnOnce(TrayPort) -> F) -> T
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let (port, end) = ends();
    runtime.block_on(async {
        let tray = tokio::spawn(keep(end));
        let outcome = app(port).await;
        // The view's channel is closed with the app, and the tray with it; a hanging session bus must not keep us.
        let _ = tokio::time::timeout(std::time::Duration::from_millis(300), tray).await;
        outcome
    })
}

/// Shows each view, from the first one on.
async fn keep(mut end: TrayEnd) {
    let Some(first) = next(&mut end.view).await else { return };
    let item = Item { view: first, clicks: end.clicks, is_shown: end.is_shown.clone() };
    // Even where nobody shows icons now: somebody may later, and then this one appears.
    let handle = match item.assume_sni_available(true).spawn().await {
        Ok(handle) => handle,
        Err(error) => {
            tracing::info!(%error, "there is no tray here");
            end.is_shown.send_replace(Some(false));
            return;
        }
    };
    // Where nobody shows icons the item has said so by now.
    end.is_shown.send_if_modified(|is_shown| is_shown.replace(is_shown.unwrap_or(true)).is_none());
    show_all(&handle, &mut end.view).await;
    handle.shutdown().await;
}

async fn show_all(handle: &Handle<Item>, views: &mut watch::Receiver<Option<View>>) {
    while let Some(view) = next(views).await {
        handle.update(|item| item.view = view).await;
    }
}

async fn next(views: &mut watch::Receiver<Option<View>>) -> Option<View> {
    views.changed().await.ok()?;
    views.borrow_and_update().clone()
}

struct Item {
    view: View,
    clicks: mpsc::UnboundedSender<Click>,
    is_shown: watch::Sender<Option<bool>>,
}

impl Item {
    fn click(&self, click: &Click) {
        // The app is over when nobody listens, and the icon goes in a moment.
        let _ = self.clicks.send(click.clone());
    }
}

impl Tray for Item {
    fn id(&self) -> String {
        "deskgrid".into()
    }

    fn title(&self) -> String {
        match self.view.icon {
            Icon::Busy(count) => format!("{} ({count})", text::NAME),
            _ => text::NAME.into(),
        }
    }

    fn status(&self) -> ksni::Status {
        match self.view.icon {
            Icon::Attention => ksni::Status::NeedsAttention,
            _ => ksni::Status::Active,
        }
    }

    fn icon_pixmap(&self) -> Vec<ksni::Icon> {
        pixmaps(self.view.icon)
    }

    fn attention_icon_pixmap(&self) -> Vec<ksni::Icon> {
        pixmaps(Icon::Attention)
    }

    fn tool_tip(&self) -> ToolTip {
        ToolTip { title: text::NAME.into(), description: self.view.status.clone(), ..ToolTip::default() }
    }

    fn activate(&mut self, _x: i32, _y: i32) {
        self.click(&Click::OpenWindow);
    }

    fn menu(&self) -> Vec<MenuItem<Self>> {
        menu(&self.view.entries)
    }

    fn watcher_online(&self) {
        self.is_shown.send_replace(Some(true));
    }

    fn watcher_offline(&self, reason: OfflineReason) -> bool {
        tracing::info!(?reason, "nobody shows tray icons");
        self.is_shown.send_replace(Some(false));
        true
    }
}

fn menu(entries: &[Entry]) -> Vec<MenuItem<Item>> {
    entries.iter().map(menu_item).collect()
}

fn menu_item(entry: &Entry) -> MenuItem<Item> {
    match entry {
        Entry::Line => MenuItem::Separator,
        Entry::Words(words) => {
            StandardItem { label: plain(words), enabled: false, ..StandardItem::default() }.into()
        }
        Entry::Group { label, entries } => {
            SubMenu { label: plain(label), submenu: menu(entries), ..SubMenu::default() }.into()
        }
        Entry::Item { label, click, greyed } => {
            let click = click.clone();
            let activate = Box::new(move |item: &mut Item| item.click(&click));
            StandardItem { label: plain(label), enabled: !greyed, activate, ..StandardItem::default() }.into()
        }
        Entry::Check { label, click, on } => {
            let click = click.clone();
            let activate = Box::new(move |item: &mut Item| item.click(&click));
            CheckmarkItem { label: plain(label), checked: *on, activate, ..CheckmarkItem::default() }.into()
        }
    }
}

/// A single underscore would mark the next letter as a shortcut.
fn plain(label: &str) -> String {
    label.replace('_', "__")
}

/// The bus wants alpha first.
fn pixmaps(icon: Icon) -> Vec<ksni::Icon> {
    let pixmap = |picture: super::picture::Picture| ksni::Icon {
        width: picture.width as i32,
        height: picture.height as i32,
        data: picture
            .rgba
            .chunks_exact(4)
            .flat_map(|pixel| [pixel[3], pixel[0], pixel[1], pixel[2]])
            .collect(),
    };
    pictures(icon).into_iter().map(pixmap).collect()
}
