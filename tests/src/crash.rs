//! What the crash tests are made of: a client that writes down what was accepted and what was reported, a load of mixed
//! jobs, and lives of a server that end at any instant. The promise is checked against the client's record alone.

pub mod client;
pub mod damage;
pub mod lives;
pub mod load;
pub mod marks;
pub mod random;
pub mod record;
pub mod work;

pub use client::Client;
pub use lives::Keeper;
pub use load::Load;
pub use random::Random;
pub use record::Record;
