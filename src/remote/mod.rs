//! A session on another machine: the messages of the engine over a pair of byte streams, which ssh or a socket carries.
//!
//! A frontend holds the two ends of a channel to an engine thread ([`Handle`](crate::engine::thread::Handle)), and
//! [`connect`] gives it the same for an engine elsewhere: so all frontends work unchanged, and draw where the user is.
//! The other side is a [`Hub`], which has one engine and any number of connections: one of them drives, the others look.
//!
//! There is no listener on the network. Whoever can start the program there, or may open the socket, which is the
//! user's alone, can do what a user of the program can do; nobody else can reach it.

mod client;
mod frame;
mod hub;
mod line;
mod peer;
mod serve;
mod state;
mod switch;
mod wire;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub use client::{Connected, connect, connect_line};
pub use frame::WireError;
pub use hub::Hub;
pub use line::{Line, Target};
pub use serve::{Door, Open, relay, serve};
pub use switch::switchable;
pub use wire::{PROTOCOL, again};
