//! The requests of an editor, each of which has one answer.

use serde_json::{Value, json};

use super::motion::Typed;
use super::points::FILTERS;
use super::{Adapter, After, Failure, failure};
use crate::answer::{Answer, Reason, text};
use crate::commands::Console;
use crate::engine::messages::Snapshot;
use crate::engine::script::builtin;
use crate::lang::command::split_command;

impl Adapter<'_> {
    /// Answers a request.
    ///
    /// # Errors
    /// With a message for the user.
    pub(super) fn request(&mut self, command: &str, given: &Value) -> Result<Value, Failure> {
        match command {
            "initialize" => {
                self.first_line = i64::from(given["linesStartAt1"] != false);
                self.first_column = i64::from(given["columnsStartAt1"] != false);
                self.shows_progress = given["supportsProgressReporting"] == true;
                self.takes_invalidated = given["supportsInvalidatedEvent"] == true;
                Ok(capabilities())
            }
            "launch" => {
                self.stop_on_entry = given["stopOnEntry"] == true;
                self.start(&words(given)?).map(|()| json!({}))
            }
            "attach" => {
                self.stop_on_entry = true;
                let target =
                    given["connect"].as_str().ok_or(Failure("attach needs connect: a command or a socket".into()))?;
                self.start(&["--connect".into(), target.into()]).map(|()| json!({}))
            }
            "configurationDone" => {
                self.client()?;
                // Where a session that was attached to is, it stays.
                let next = if self.stop_on_entry { "start -keep" } else { "run" };
                Ok(self.then(next))
            }
            "disconnect" | "terminate" => {
                self.ended = true;
                if command == "terminate" {
                    self.after.push_back(After::Event("terminated", json!({})));
                }
                Ok(json!({}))
            }
            "setBreakpoints" => self.set_breakpoints(given),
            "setFunctionBreakpoints" => self.set_function_breakpoints(given),
            "setDataBreakpoints" => self.set_data_breakpoints(given),
            "setExceptionBreakpoints" => self.set_exception_breakpoints(given),
            "dataBreakpointInfo" => {
                let found = self.expression_of(given);
                Ok(match found {
                    Ok(id) => json!({"dataId": id, "description": id, "accessTypes": ["read", "write", "readWrite"]}),
                    Err(Failure(why)) => json!({"dataId": null, "description": why}),
                })
            }
            "breakpointLocations" => {
                let from = given["line"].as_i64().unwrap_or(0);
                let to = given["endLine"].as_i64().unwrap_or(from);
                let has = |line: &i64| {
                    usize::try_from(line - self.first_line).is_ok_and(|line| line < self.listing.lines.len())
                };
                let lines: Vec<Value> =
                    (from..=to.min(from + 10_000)).filter(has).map(|line| json!({"line": line})).collect();
                Ok(json!({"breakpoints": lines}))
            }
            "threads" => self.threads(),
            "stackTrace" => self.stack(given),
            "scopes" => self.scopes(),
            "variables" => self.variables(given),
            "setVariable" => {
                let expression = self.expression_of(given)?;
                self.change(&expression, given)
            }
            "setExpression" => {
                let expression = given["expression"].as_str().unwrap_or_default().to_string();
                self.change(&expression, given)
            }
            "evaluate" => self.evaluate(given),
            "source" => Ok(json!({"content": self.listing.text(), "mimeType": "text/plain"})),
            "loadedSources" => Ok(json!({"sources": [self.listing.source()]})),
            "modules" => {
                let snapshot = self.client()?.snapshot().clone();
                let module = json!({"id": 1, "name": snapshot.model, "version": snapshot.dimensions, "symbolStatus": snapshot.device_reason});
                Ok(json!({"modules": [module], "totalModules": 1}))
            }
            "completions" => self.completions(given),
            "exceptionInfo" => self.exception_info(),
            "continue" => {
                self.then("continue");
                Ok(json!({"allThreadsContinued": true}))
            }
            "next" => Ok(self.then(if given["granularity"] == "instruction" { "step" } else { "next" })),
            "stepIn" => Ok(self.then("step")),
            "stepOut" => Ok(self.then("finish")),
            "stepBack" => {
                Ok(self.then(if given["granularity"] == "instruction" { "reverse-step" } else { "reverse-next" }))
            }
            "reverseContinue" => Ok(self.then("reverse-continue")),
            "restartFrame" | "llmdbg/reverseFinish" => Ok(self.then("reverse-finish")),
            "llmdbg/reverseLayer" => Ok(self.then("reverse-layer")),
            "restart" => Ok(self.then("run")),
            "gotoTargets" => {
                let line = given["line"].as_i64().unwrap_or(0);
                let at = usize::try_from(line - self.first_line).ok();
                let op = at.and_then(|line| self.listing.ops_of_lines.get(line)).copied();
                let target = |op: usize| json!({"id": op, "label": self.listing.ops[op].site, "line": line});
                Ok(json!({"targets": op.map(target).into_iter().collect::<Vec<_>>()}))
            }
            "goto" => {
                let op = given["targetId"].as_u64().and_then(|id| self.listing.ops.get(id as usize));
                let site = op.ok_or(Failure("there is no such target".into()))?.site.clone();
                Ok(self.then(format!("until {site}")))
            }
            // The flag is set as soon as the request is read; the motion that runs has answered before this.
            "pause" | "cancel" => Ok(json!({})),
            _ => failure(format!("{command} is not supported")),
        }
    }

    fn threads(&mut self) -> Result<Value, Failure> {
        let snapshot = self.client()?.snapshot().clone();
        let start: String = snapshot.tokens.iter().take(8).map(|token| text::visible(&token.text)).collect();
        let name = |row: usize| {
            if row == snapshot.focus.row { format!("row {row}: {start}") } else { format!("row {row}") }
        };
        let rows: Vec<Value> = (0..snapshot.rows.max(1)).map(|row| json!({"id": row + 1, "name": name(row)})).collect();
        Ok(json!({"threads": rows}))
    }

    /// The op that was computed last, and the modules around it, the innermost first.
    fn stack(&mut self, given: &Value) -> Result<Value, Failure> {
        let snapshot = self.client()?.snapshot().clone();
        let op = self.op();
        let source = self.listing.source();
        let frame = |id: usize, name: &str, line: usize| json!({"id": id, "name": name, "line": line as i64 + self.first_line, "column": self.first_column, "source": source, "canRestart": id > 0});
        let mut frames = Vec::new();
        if let Some(line) = self.listing.lines_of_ops.get(op) {
            frames.push(frame(0, &self.listing.ops[op].site, *line));
        }
        let mut inside = snapshot.ops.get(op).map(|op| op.module);
        while let Some(at) = inside {
            let Some(module) = snapshot.modules.get(at) else { break };
            let name = if module.path.is_empty() { snapshot.model.as_str() } else { module.path.as_str() };
            frames.push(frame(at + 1, name, self.listing.lines_of_modules.get(at).copied().unwrap_or(0)));
            inside = module.parent;
        }
        let Snapshot { pass, branch, .. } = &*snapshot;
        let label = format!("pass {pass}, branch {branch}");
        frames.push(json!({"id": 1 << 20, "name": label, "line": 0, "column": 0, "presentationHint": "label"}));
        let total = frames.len();
        let start = given["startFrame"].as_u64().unwrap_or(0) as usize;
        let levels = given["levels"].as_u64().filter(|levels| *levels > 0).map_or(usize::MAX, |levels| levels as usize);
        let frames: Vec<Value> = frames.into_iter().skip(start).take(levels).collect();
        Ok(json!({"stackFrames": frames, "totalFrames": total}))
    }

    fn evaluate(&mut self, given: &Value) -> Result<Value, Failure> {
        let expression = given["expression"].as_str().unwrap_or_default().trim().to_string();
        let known = split_command(&expression).is_none_or(|call| Console::command(call.word).is_some());
        if given["context"] == "repl" && (known || builtin(&expression).is_some()) {
            self.client()?;
            let Typed { text, stop, moved, failed } = self.typed(&expression)?;
            // The lines of a stop are those of the event that follows.
            let result = if stop.is_some() { String::new() } else { text.clone() };
            if moved && !self.ended {
                self.after.push_back(After::Stopped(stop.map(Box::new)));
            }
            return if failed { failure(text) } else { Ok(json!({"result": result, "variablesReference": 0})) };
        }
        let raw = if given["context"] == "clipboard" { "/r" } else { "" };
        let answer = self.query(&format!("output{raw} {}", expression.replace(['\n', '\r'], " ")))?;
        Ok(match (&answer, raw) {
            (Answer::Value(_), "") => self.shown(&answer, &expression),
            _ => json!({"result": text::lines(&answer, None).join("\n"), "variablesReference": 0}),
        })
    }

    fn completions(&mut self, given: &Value) -> Result<Value, Failure> {
        let line = given["text"].as_str().unwrap_or_default().to_string();
        let column = usize::try_from(given["column"].as_i64().unwrap_or(0) - self.first_column).unwrap_or(0);
        // Columns count units of UTF-16.
        let mut units = 0;
        let cursor = line.char_indices().find(|(_, c)| {
            units += c.len_utf16();
            units > column
        });
        let cursor = cursor.map_or(line.len(), |(at, _)| at);
        let (start, candidates) = self.client()?.complete(&line, cursor);
        let width = |text: &str| text.encode_utf16().count();
        let (at, length) = (width(&line[..start]), width(&line[start..cursor]));
        let target = |label: String| json!({"label": label, "start": at, "length": length});
        Ok(json!({"targets": candidates.into_iter().map(target).collect::<Vec<_>>()}))
    }

    fn exception_info(&mut self) -> Result<Value, Failure> {
        match self.last_stop.as_ref().filter(|stop| stop.reason == Reason::Catchpoint) {
            Some(stop) => Ok(json!({
                "exceptionId": stop.site,
                "description": stop.lines.join("\n"),
                "breakMode": "always",
            })),
            None => failure("the run has not been stopped by a catchpoint"),
        }
    }
}

/// The command line that a launch configuration means.
fn words(given: &Value) -> Result<Vec<String>, Failure> {
    let mut words = Vec::new();
    let options =
        [("prompt", "-p"), ("tokens", "--tokens"), ("device", "--device"), ("dtype", "--dtype"), ("lora", "--lora")];
    for (key, option) in options {
        match &given[key] {
            Value::Null => {}
            Value::String(text) => words.extend([option.to_string(), text.clone()]),
            Value::Array(several) => {
                for one in several {
                    let text = one.as_str().map_or_else(|| one.to_string(), String::from);
                    words.extend([option.to_string(), text]);
                }
            }
            _ => return failure(format!("{key} has to be a text")),
        }
    }
    for (key, option) in [("commands", "-ex"), ("args", "")] {
        for one in given[key].as_array().into_iter().flatten() {
            let text = one.as_str().ok_or_else(|| Failure(format!("{key} has to be a list of texts")))?;
            if !option.is_empty() {
                words.push(option.into());
            }
            words.push(text.into());
        }
    }
    if let Some(model) = given["model"].as_str() {
        words.extend(["--".to_string(), model.to_string()]);
    }
    Ok(words)
}

fn capabilities() -> Value {
    let filter = |(filter, label, default): &(&str, &str, bool)| {
        json!({
            "filter": filter, "label": label, "default": default, "supportsCondition": true,
            "conditionDescription": "An expression; $ is the value",
        })
    };
    let yes = [
        "supportsConfigurationDoneRequest",
        "supportsFunctionBreakpoints",
        "supportsConditionalBreakpoints",
        "supportsHitConditionalBreakpoints",
        "supportsLogPoints",
        "supportsEvaluateForHovers",
        "supportsStepBack",
        "supportsSetVariable",
        "supportsSetExpression",
        "supportsRestartFrame",
        "supportsRestartRequest",
        "supportsGotoTargetsRequest",
        "supportsCompletionsRequest",
        "supportsModulesRequest",
        "supportsExceptionFilterOptions",
        "supportsExceptionInfoRequest",
        "supportsLoadedSourcesRequest",
        "supportsTerminateRequest",
        "supportsDataBreakpoints",
        "supportsBreakpointLocationsRequest",
        "supportsSteppingGranularity",
        "supportsClipboardContext",
        "supportsCancelRequest",
        "supportsDelayedStackTraceLoading",
    ];
    let mut all: Value = yes.into_iter().map(|name| (name, json!(true))).collect();
    all["completionTriggerCharacters"] = json!([".", "[", "\""]);
    all["exceptionBreakpointFilters"] = FILTERS.iter().map(filter).collect();
    all
}
