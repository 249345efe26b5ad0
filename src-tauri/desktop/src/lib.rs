//! What the tray program and the window program share: the way through Deskgrid's local door, links into the app, words,
//! and what it takes to show anything at all. It draws nothing and knows no web view.

pub mod display;
pub mod door;
pub mod link;
pub mod text;
