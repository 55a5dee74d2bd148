//! Promise of `docs/editors.md`: an editor debugs a model by the Debug Adapter Protocol.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(120);

struct Editor {
    child: Child,
    input: ChildStdin,
    messages: Receiver<Value>,
    seq: i64,
    /// Events that have come and were not waited for.
    events: Vec<Value>,
    _state: tempfile::TempDir,
}

fn message(input: &mut impl BufRead) -> Option<Value> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if input.read_line(&mut line).ok()? == 0 {
            return None;
        }
        match line.trim_end_matches("\r\n").split_once(": ") {
            Some(("Content-Length", value)) => length = value.parse().unwrap(),
            _ => break,
        }
    }
    let mut bytes = vec![0; length];
    input.read_exact(&mut bytes).ok()?;
    Some(serde_json::from_slice(&bytes).unwrap())
}

impl Editor {
    /// Has said `initialize`.
    fn start() -> Editor {
        let state = tempfile::tempdir().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_llmdbg"));
        command.args(["dap", "-nx", "--device", "cpu"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        command.env("XDG_STATE_HOME", state.path()).env("XDG_CONFIG_HOME", "/nonexistent");
        let mut child = command.spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let (sender, messages) = channel();
        std::thread::spawn(move || {
            while let Some(message) = message(&mut output) {
                if sender.send(message).is_err() {
                    return;
                }
            }
        });
        let input = child.stdin.take().unwrap();
        let mut editor = Editor { child, input, messages, seq: 0, events: Vec::new(), _state: state };
        let given = json!({"adapterID": "llmdbg", "linesStartAt1": true, "columnsStartAt1": true, "supportsProgressReporting": true});
        let capabilities = editor.ask("initialize", given);
        assert_eq!(capabilities["supportsStepBack"], true);
        editor
    }

    fn send(&mut self, command: &str, arguments: Value) -> i64 {
        self.seq += 1;
        let text = json!({"seq": self.seq, "type": "request", "command": command, "arguments": arguments}).to_string();
        write!(self.input, "Content-Length: {}\r\n\r\n{text}", text.len()).unwrap();
        self.seq
    }

    /// The next message, which has what the schema of the protocol requires of it.
    fn next(&mut self) -> Value {
        let message = self.messages.recv_timeout(PATIENCE).expect("a message");
        assert!(message["seq"].is_i64(), "{message}");
        match message["type"].as_str() {
            Some("response") => {
                assert!(
                    message["request_seq"].is_i64()
                        && message["success"].is_boolean()
                        && message["command"].is_string()
                );
            }
            Some("event") => self.check(&message),
            _ => panic!("{message}"),
        }
        message
    }

    fn check(&self, event: &Value) {
        let body = &event["body"];
        let required: &[&str] = match event["event"].as_str().unwrap() {
            "stopped" => &["reason"],
            "output" => &["output"],
            "progressStart" => &["progressId", "title"],
            "progressUpdate" | "progressEnd" => &["progressId"],
            "exited" => &["exitCode"],
            "initialized" | "terminated" | "invalidated" => &[],
            other => panic!("event {other}"),
        };
        assert!(required.iter().all(|key| !body[key].is_null()), "{event}");
    }

    fn response(&mut self, seq: i64) -> Value {
        loop {
            let message = self.next();
            if message["type"] == "response" {
                assert_eq!(message["request_seq"], seq, "{message}");
                return message;
            }
            self.events.push(message);
        }
    }

    /// The body of a request that succeeds.
    fn ask(&mut self, command: &str, arguments: Value) -> Value {
        let seq = self.send(command, arguments);
        let response = self.response(seq);
        assert_eq!(response["success"], true, "{response}");
        response["body"].clone()
    }

    /// The message of one that fails.
    fn fail(&mut self, command: &str, arguments: Value) -> String {
        let seq = self.send(command, arguments);
        let response = self.response(seq);
        assert_eq!(response["success"], false, "{response}");
        response["body"]["error"]["format"].as_str().unwrap().to_string()
    }

    /// The next event of a name; those before it are dropped.
    fn event(&mut self, name: &str) -> Value {
        loop {
            let event = if self.events.is_empty() { self.next() } else { self.events.remove(0) };
            assert_eq!(event["type"], "event", "{event}");
            if event["event"] == name {
                return event["body"].clone();
            }
        }
    }

    /// A motion: its answer, then where it stops, as the name of the top frame.
    fn go(&mut self, command: &str) -> (Value, String) {
        self.ask(command, json!({"threadId": 1}));
        let stopped = self.event("stopped");
        (stopped, self.top())
    }

    fn top(&mut self) -> String {
        let stack = self.ask("stackTrace", json!({"threadId": 1}));
        for frame in stack["stackFrames"].as_array().unwrap() {
            assert!(
                frame["id"].is_i64() && frame["name"].is_string() && frame["line"].is_i64() && frame["column"].is_i64()
            );
        }
        stack["stackFrames"][0]["name"].as_str().unwrap().to_string()
    }

    fn variables(&mut self, reference: &Value, more: Value) -> Vec<Value> {
        let mut arguments = json!({"variablesReference": reference});
        arguments.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
        let body = self.ask("variables", arguments);
        let all = body["variables"].as_array().unwrap().clone();
        for variable in &all {
            assert!(
                variable["name"].is_string()
                    && variable["value"].is_string()
                    && variable["variablesReference"].is_i64(),
                "{variable}"
            );
        }
        all
    }

    fn scope(&mut self, name: &str) -> Value {
        let scopes = self.ask("scopes", json!({"frameId": 0}));
        let found = scopes["scopes"].as_array().unwrap().iter().find(|scope| scope["name"] == name).cloned();
        found.unwrap_or_else(|| panic!("no scope {name}: {scopes}"))["variablesReference"].clone()
    }
}

impl Drop for Editor {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

#[test]
fn an_editor_stops_looks_changes_and_goes_back() {
    let mut editor = Editor::start();
    editor.ask("launch", json!({"model": "tiny-gpt2", "type": "llmdbg", "stopOnEntry": true}));
    editor.event("initialized");
    // The listing, and a breakpoint on one of its lines.
    let source = editor.ask("loadedSources", json!({}))["sources"][0].clone();
    let text = std::fs::read_to_string(source["path"].as_str().unwrap()).unwrap();
    let line_of = |site: &str| {
        let start = format!("{site} <- ");
        1 + text
            .lines()
            .position(|line| line.trim_start().starts_with(&start))
            .unwrap_or_else(|| panic!("{site} {text}"))
    };
    assert!(text.contains("blocks.2.attn.pattern <- blocks.2.attn.scores  # [head=4, q=14, k=14]"), "{text}");
    let (pattern, z) = (line_of("blocks.2.attn.pattern"), line_of("blocks.1.attn.z"));
    let set = editor.ask(
        "setBreakpoints",
        json!({"source": source, "breakpoints": [
            {"line": z, "condition": "max($) > 1e9"},
            {"line": pattern, "condition": "max($) > 0.5"},
            {"line": z, "logMessage": "largest {max($)} at 100%"},
            {"line": 99999},
            {"line": z, "condition": "frob("},
            {"line": z, "hitCondition": "~ 2"},
            {"line": z, "hitCondition": "% 2"},
            {"line": z, "logMessage": "never said", "condition": "max($) > 1e9"},
            {"line": z, "logMessage": "x", "condition": "frob("},
        ]}),
    );
    let verified: Vec<&Value> = set["breakpoints"].as_array().unwrap().iter().map(|point| &point["verified"]).collect();
    assert_eq!(
        verified,
        [true, true, true, false, false, false, true, true, false].map(Value::from).iter().collect::<Vec<_>>(),
        "{set}"
    );
    let mine = set["breakpoints"][1]["id"].clone();
    editor.ask("setExceptionBreakpoints", json!({"filters": ["nan"]}));
    editor.ask("configurationDone", json!({}));
    assert_eq!(editor.event("stopped")["reason"], "entry");
    editor.ask("continue", json!({"threadId": 1}));
    let mut said = String::new();
    let stopped = loop {
        let event = if editor.events.is_empty() { editor.next() } else { editor.events.remove(0) };
        match event["event"].as_str() {
            Some("output") => said += event["body"]["output"].as_str().unwrap(),
            Some("stopped") => break event["body"].clone(),
            _ => {}
        }
    };
    assert_eq!((&stopped["reason"], &stopped["hitBreakpointIds"][0]), (&json!("breakpoint"), &mine));
    assert!(said.contains("largest ") && said.contains(" at 100%") && !said.contains("never said"), "{said}");
    let stack = editor.ask("stackTrace", json!({"threadId": 1}));
    let names: Vec<&str> =
        stack["stackFrames"].as_array().unwrap().iter().map(|f| f["name"].as_str().unwrap()).collect();
    assert_eq!(names[..3], ["blocks.2.attn.pattern", "blocks.2.attn", "blocks.2"]);
    assert_eq!(stack["stackFrames"][0]["line"], pattern);
    // Into the value: a row of the pattern sums to one.
    let output = editor.scope("Output");
    let value = editor.variables(&output, json!({})).remove(0);
    assert_eq!((&value["type"], &value["indexedVariables"]), (&json!("f32[head=4, q=14, k=14]"), &json!(4)));
    let head = editor.variables(&value["variablesReference"], json!({"start": 3, "count": 1})).remove(0);
    assert_eq!((&head["name"], &head["indexedVariables"]), (&json!("head=3"), &json!(14)));
    let row = editor.variables(&head["variablesReference"], json!({})).pop().unwrap();
    let numbers = editor.variables(&row["variablesReference"], json!({}));
    let sum: f64 = numbers.iter().map(|number| number["value"].as_str().unwrap().parse::<f64>().unwrap()).sum();
    assert!(numbers.len() == 14 && (sum - 1.0).abs() < 1e-6, "{numbers:?}");
    let paged = editor.variables(&row["variablesReference"], json!({"start": 12, "count": 5}));
    assert_eq!(paged, numbers[12..]);
    let evaluated = editor.ask("evaluate", json!({"expression": numbers[3]["evaluateName"], "context": "watch"}));
    let number = |text: &Value| text.as_str().unwrap().parse::<f64>().unwrap();
    // A watched value is shown with six digits.
    let (shown, exact) = (number(&evaluated["result"]), number(&numbers[3]["value"]));
    assert!((shown - exact).abs() <= 1e-5 * exact, "{evaluated}");
    let inputs = editor.scope("Inputs");
    assert_eq!(editor.variables(&inputs, json!({}))[0]["name"], "blocks.2.attn.scores");
    let registers = editor.scope("Registers");
    assert!(
        editor
            .variables(&registers, json!({}))
            .iter()
            .any(|register| register["name"] == "branch" && register["value"] == "main")
    );
    // Back and forth, one op at a time and by children.
    assert_eq!(editor.go("stepBack").1, "blocks.2.attn.scores");
    assert_eq!(editor.go("stepIn").1, "blocks.2.attn.pattern");
    let targets = editor.ask("gotoTargets", json!({"source": source, "line": z}));
    editor.ask("goto", json!({"threadId": 1, "targetId": targets["targets"][0]["id"]}));
    editor.event("stopped");
    assert_eq!(editor.top(), "blocks.1.attn.z");
    let reason = editor.go("reverseContinue").0["reason"].clone();
    assert!(reason == "entry" || reason == "pause" || reason == "step", "{reason}");
    // A change opens a branch, and is what is read afterwards.
    editor.ask("evaluate", json!({"expression": "until L1.attn.z", "context": "repl"}));
    editor.event("stopped");
    let output = editor.scope("Output");
    let value = editor.variables(&output, json!({})).remove(0);
    let first = editor.variables(&value["variablesReference"], json!({"start": 0, "count": 1})).remove(0);
    let second = editor.variables(&first["variablesReference"], json!({"start": 0, "count": 1})).remove(0);
    let changed = editor.ask(
        "setVariable",
        json!({"variablesReference": second["variablesReference"], "name": "dim=5", "value": "7.25"}),
    );
    assert_eq!(changed["value"], "7.25");
    let read = editor.ask("evaluate", json!({"expression": "L1.attn.z[0, 0, 5]", "context": "hover"}));
    assert_eq!(read["result"], "7.25");
    assert!(
        editor.ask("evaluate", json!({"expression": "info edits", "context": "repl"}))["result"]
            .as_str()
            .unwrap()
            .contains("7.25")
    );
    // A watched value, the console, completions, and mistakes.
    let info = editor.ask("dataBreakpointInfo", json!({"name": "argmax(logits[-1])"}));
    let set =
        editor.ask("setDataBreakpoints", json!({"breakpoints": [{"dataId": info["dataId"], "accessType": "write"}]}));
    assert_eq!(set["breakpoints"][0]["verified"], true, "{set}");
    let found = editor.ask("completions", json!({"text": "print L1.attn.pa", "column": 17}));
    assert!(
        found["targets"].as_array().unwrap().iter().any(|target| target["label"].as_str().unwrap().contains("pattern")),
        "{found}"
    );
    assert!(editor.fail("evaluate", json!({"expression": "nosuch", "context": "watch"})).contains("nosuch"));
    assert!(editor.fail("frob", json!({})).contains("not supported"));
    assert!(editor.fail("variables", json!({"variablesReference": 12345})).contains("earlier stop"));
    editor.ask("evaluate", json!({"expression": "quit 3", "context": "repl"}));
    assert_eq!(editor.event("exited")["exitCode"], 3);
    editor.event("terminated");
}

#[test]
fn an_exception_and_a_pause() {
    let mut editor = Editor::start();
    assert!(editor.fail("launch", json!({"model": "./nothing"})).contains("nothing"));
    editor.ask("launch", json!({"model": "tiny-gpt2", "commands": ["set param(\"L1.mlp.W_out\")[0, 0] = nan"]}));
    editor.event("initialized");
    let set =
        editor.ask("setExceptionBreakpoints", json!({"filters": ["nan"], "filterOptions": [{"filterId": "pass"}]}));
    assert_eq!(set["breakpoints"].as_array().unwrap().len(), 2);
    editor.ask("configurationDone", json!({}));
    assert_eq!(editor.event("stopped")["reason"], "exception");
    let info = editor.ask("exceptionInfo", json!({"threadId": 1}));
    assert!(
        info["exceptionId"] == "blocks.1.mlp.out" && info["description"].as_str().unwrap().contains("nan"),
        "{info}"
    );
    editor.ask("setExceptionBreakpoints", json!({"filters": []}));
    // A pause overtakes the command that runs.
    let long = editor.send("evaluate", json!({"expression": "generate 100000", "context": "repl"}));
    std::thread::sleep(Duration::from_millis(300));
    let pause = editor.send("pause", json!({"threadId": 1}));
    editor.response(long);
    editor.response(pause);
    editor.ask("disconnect", json!({}));
    assert!(editor.child.wait().unwrap().success());
}
