//! Chat templates: a conversation becomes the text that a model was trained to go on from.
//!
//! A checkpoint brings its template as a program in Jinja's language. It is foreign text that is run, so it gets a
//! limited amount of work and memory and reaches nothing but the conversation.

mod conversation;
mod error;
mod json;
mod render;
pub mod sandbox;
mod templates;

pub use conversation::Conversation;
pub use error::ChatError;
pub use render::render;
pub use sandbox::Place;
pub use templates::{Template, Templates};

#[cfg(test)]
mod tests;
