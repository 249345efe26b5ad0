//! The program and the engine die at any instant, and the promise holds: what was accepted is run exactly to its end
//! or reported as failed, what was reported is there, what was stored is the file that was stored.

mod damage;
mod engine;
mod points;
mod random;
mod reach;
mod takeover;
