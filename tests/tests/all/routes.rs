//! Every row of the protocol's table of routes, as it should go and as it should not.

mod access;
mod bodies;
mod jobs;
mod logs;
mod pages;
mod queues;
mod webhooks;
