//! The socket of clients, message by message (protocol section 4).

mod cancelling;
mod frames;
mod messages;
mod states;
