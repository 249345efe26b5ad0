//! The desktop app in a session of its own: its tray, driven over D-Bus as a panel does, its window, and the ways in
//! and out of it.

mod awake;
mod leaving;
mod moving;
mod starting;
mod tray;
mod window;
