//! A conversation: messages, and what else a template may look at.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::error::ChatError;

/// Names under which a message carries its reasoning; the first is the one that templates read.
const REASONING: [&str; 3] = ["reasoning_content", "thinking", "reasoning"];

/// Messages in order, and variables for the template.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Conversation {
    /// Objects with `role`, `content` and whatever else a template knows.
    messages: Vec<Map<String, Value>>,
    /// Variables such as `tools` or `enable_thinking`.
    variables: Map<String, Value>,
}

impl Conversation {
    /// One message of the user, after one of the system if there is one.
    pub fn of_user(text: &str, system: Option<&str>) -> Conversation {
        let message = |role: &str, content: &str| match json!({"role": role, "content": content}) {
            Value::Object(message) => message,
            _ => Map::new(),
        };
        let messages = system.map(|text| message("system", text)).into_iter().chain([message("user", text)]);
        Conversation { messages: messages.collect(), variables: Map::new() }
    }

    /// Reads a list of messages, or an object that holds one under `messages` and variables next to it. `path` is for
    /// messages.
    pub fn parse(path: &str, text: &[u8]) -> Result<Conversation, ChatError> {
        let wrong = |message: String| ChatError::NoConversation { path: path.to_owned(), message };
        let json: Value = serde_json::from_slice(text).map_err(|error| wrong(error.to_string()))?;
        let (list, variables) = match json {
            Value::Array(list) => (list, Map::new()),
            Value::Object(mut object) => match object.remove("messages") {
                Some(Value::Array(list)) => (list, object),
                _ => return Err(wrong("the object has no list \"messages\"".into())),
            },
            _ => return Err(wrong("it is neither a list nor an object".into())),
        };
        let message = |(index, message): (usize, Value)| match message {
            Value::Object(message) if message.get("role").is_some_and(Value::is_string) => Ok(normal(message)),
            Value::Object(_) => Err(wrong(format!("message {index} has no \"role\""))),
            _ => Err(wrong(format!("message {index} is not an object"))),
        };
        let messages = list.into_iter().enumerate().map(message).collect::<Result<Vec<_>, _>>()?;
        if messages.is_empty() { Err(ChatError::Empty) } else { Ok(Conversation { messages, variables }) }
    }

    /// The same conversation with another last message of the user; one more if there was none.
    pub fn with_user(&self, text: &str) -> Conversation {
        let mut changed = self.clone();
        match changed.messages.iter_mut().rfind(|message| message.get("role").is_some_and(|role| role == "user")) {
            Some(message) => {
                message.insert("content".into(), text.into());
            }
            None => changed.messages.append(&mut Conversation::of_user(text, None).messages),
        }
        changed
    }

    /// The same conversation with the answer of the model and what the user says then.
    pub fn with_turn(&self, answer: &str, text: &str) -> Conversation {
        let mut longer = self.clone();
        let of =
            |role: &str, content: &str| [("role", role), ("content", content)].map(|(key, x)| (key.into(), x.into()));
        longer.messages.extend([of("assistant", answer), of("user", text)].map(Map::from_iter));
        longer
    }

    pub fn messages(&self) -> &[Map<String, Value>] {
        &self.messages
    }

    pub fn variables(&self) -> &Map<String, Value> {
        &self.variables
    }

    /// Whether an answer of the model is to come. Not after a message of the assistant, which is the answer.
    pub fn awaits_answer(&self) -> bool {
        self.messages.last().is_none_or(|message| message.get("role").is_none_or(|role| role != "assistant"))
    }
}

/// A message as transformers gives it to a template: without keys that are null, which templates do not expect, and
/// with the reasoning under the names that they read.
fn normal(mut message: Map<String, Value>) -> Map<String, Value> {
    message.retain(|_, value| !value.is_null());
    if let Some(reasoning) = REASONING.iter().find_map(|name| message.get(*name).cloned()) {
        message.entry("thinking").or_insert_with(|| reasoning.clone());
        message.insert("reasoning_content".into(), reasoning);
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(text: &str) -> String {
        Conversation::parse("chat.json", text.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn files_hold_lists_or_objects() {
        let list = br#"[{"role": "user", "content": "Hi", "tool_calls": null}]"#;
        assert_eq!(Conversation::parse("a", list).unwrap(), Conversation::of_user("Hi", None));
        let object = br#"{"messages": [{"role": "assistant", "thinking": "hm"}], "enable_thinking": false}"#;
        let parsed = Conversation::parse("a", object).unwrap();
        assert_eq!(parsed.variables()["enable_thinking"], false);
        assert_eq!(parsed.messages()[0]["reasoning_content"], "hm");
        assert!(!parsed.awaits_answer());
        assert_eq!(Conversation::parse("a", b"[]"), Err(ChatError::Empty));
    }

    #[test]
    fn what_is_no_conversation_is_named() {
        let expected = "; expected a list of messages such as [{\"role\": \"user\", \"content\": \"Hello\"}], or an \
                        object with that list under \"messages\"";
        for (text, message) in [
            ("{", "EOF while parsing an object at line 1 column 1"),
            ("3", "it is neither a list nor an object"),
            ("{}", "the object has no list \"messages\""),
            ("[1]", "message 0 is not an object"),
            ("[{\"role\": \"user\"}, {\"role\": 1}]", "message 1 has no \"role\""),
        ] {
            assert_eq!(wrong(text), format!("chat.json holds no conversation: {message}{expected}"));
        }
    }

    #[test]
    fn the_last_message_of_the_user_can_be_changed() {
        let conversation = Conversation::of_user("a", Some("s"));
        assert_eq!(conversation.with_user("b"), Conversation::of_user("b", Some("s")));
        assert!(conversation.awaits_answer());
        let longer = conversation.with_turn("b", "c");
        let roles: Vec<_> = longer.messages().iter().map(|message| message["role"].as_str().unwrap()).collect();
        assert_eq!(roles, ["system", "user", "assistant", "user"]);
        assert!(longer.awaits_answer());
        let only = Conversation::parse("a", br#"[{"role": "system", "content": "s"}]"#).unwrap();
        assert_eq!(only.with_user("b"), Conversation::of_user("b", Some("s")));
    }
}
