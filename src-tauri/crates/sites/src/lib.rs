//! Which web pages may use this computer: decisions about their origins, and the requests of those that nobody has
//! decided about yet.
//!
//! Pure rules over plain values. This crate knows neither HTTP nor files nor the clock: `now` is handed to it, the
//! settings file is written by `deskgrid-server`, and `deskgrid-http` asks it about every request of a page.

mod date;
mod entry;
mod origin;
mod pending;
mod sites;

pub use date::Date;
pub use entry::{Change, Decision, Entry, Network, Terms};
pub use origin::{NoOrigin, Origin};
pub use pending::{MOST_PENDING, Pending};
pub use sites::{Sites, Verdict};
