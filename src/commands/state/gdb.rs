//! gdb's commands and ours: for people whose fingers know gdb.

/// A command of gdb, and what does the same here.
pub struct Counterpart {
    /// gdb's command, or several that belong together.
    pub gdb: &'static str,
    /// What does it here; empty where nothing does.
    pub ours: &'static str,
    pub differs: &'static str,
}

const fn same(gdb: &'static str, ours: &'static str, differs: &'static str) -> Counterpart {
    Counterpart { gdb, ours, differs }
}

/// In the order of gdb's manual.
pub static COUNTERPARTS: &[Counterpart] = &[
    same("file", "load", "load MODEL as NAME opens a second model; the first is named at the start: llmdbg MODEL"),
    same("run", "run", "computes the pass again from its start; asks nothing, as edits and stop points stay"),
    same("start", "start", "stops before the first op"),
    same("starti", "start", "the first op is the first instruction"),
    same("kill", "kill", "edits stay too"),
    same("quit", "quit", "takes an exit status"),
    same("break", "break", "LOC is a site, a module, a head or a pattern; a site stops when it has just been computed"),
    same("tbreak", "tbreak", "as in gdb"),
    same(
        "rbreak",
        "rbreak",
        "one breakpoint for each match, as in gdb; break takes a pattern as one breakpoint with many places",
    ),
    same("hbreak", "break", "all breakpoints are of one kind"),
    same("watch", "watch", "compares at the ops that can change EXPR, and tells at how many"),
    same("rwatch", "rwatch", "stops after each op that reads a site"),
    same("awatch", "awatch", "stops after the op that computes a site, and after each that reads it"),
    same("catch", "catch", "the events are those of a model; help catch lists them"),
    same("condition", "condition", "also -hits N == 3; an error in a condition stops, as in gdb"),
    same("ignore", "ignore", "as in gdb"),
    same("enable", "enable", "once, delete and count as in gdb"),
    same("disable", "disable", "as in gdb"),
    same("delete", "delete", "asks nothing"),
    same("clear", "clear", "a location, or the cursor"),
    same("commands", "commands", "silent as in gdb; a command that moves the cursor is the last"),
    same("dprintf", "dprintf", "as in gdb"),
    same("tracepoint", "trace", "keeps counts, numbers or histograms; info trace shows them"),
    same("save", "save", "save breakpoints keeps names, hit conditions and lives; also save activations, save edits"),
    same("continue", "continue", "a count ignores the breakpoint stopped at, as in gdb"),
    same("step", "step", "one op"),
    same("stepi", "step", "si too; an op is the smallest step"),
    same("next", "next", "the next sibling: an op, or a whole module from its start"),
    same("nexti", "next", "ni too; an op is the smallest step"),
    same("finish", "finish", "to the end of the module; its output becomes $"),
    same("until", "until", "goes in either direction"),
    same("advance", "advance", "goes in either direction"),
    same("return", "return", "what is left of the module is computed, and replaced"),
    same("jump", "", "an op cannot be left out; return EXPR replaces the output of a module"),
    same("skip", "skip", "a block, its attention or its MLP adds nothing; next passes over a module and computes it"),
    same("call", "print", "functions of the expression language; function defines one"),
    same("reverse-step", "reverse-step", "never stops being possible: what is not kept is computed again"),
    same("reverse-stepi", "reverse-step", "an op is the smallest step"),
    same("reverse-next", "reverse-next", "as in gdb"),
    same("reverse-finish", "reverse-finish", "to the start of the module"),
    same("reverse-continue", "reverse-continue", "meets the same stops as going forward"),
    same("record", "info", "always on, within --record-budget; info record tells"),
    same("checkpoint", "checkpoint", "keeps the place and the edits; costs no memory"),
    same("restart", "restart", "by number or name"),
    same("backtrace", "backtrace", "the modules around the cursor"),
    same("frame", "frame", "a frame is a module around the cursor, by number or name"),
    same("up", "up", "to the module around it"),
    same("down", "down", "as in gdb"),
    same("thread", "focus", "the focus is on a row, a position and a head"),
    same("list", "list", "ops around the cursor"),
    same("disassemble", "list", "the ops are the disassembly"),
    same("info", "info", "frame, locals, args, line, scope, program and others; help info lists them"),
    same("print", "print", "letters: s summary, t largest, h heat map, g histogram, a all, r raw"),
    same("output", "output", "as in gdb"),
    same("printf", "printf", "as in gdb; a tensor of one element is a number"),
    same("find", "find", "elements that have a value, or for which a condition holds"),
    same("x", "x", "elements of a site from an index on; an empty line goes on"),
    same("ptype", "ptype", "shape, axes and type"),
    same("whatis", "whatis", "as in gdb"),
    same("display", "display", "as in gdb"),
    same("undisplay", "undisplay", "as in gdb"),
    same("show", "show", "settings; show commands and show version as in gdb"),
    same(
        "set",
        "set",
        "confirm, pagination, width and height are accepted and have no effect; a site, tokens, a weight, the cache or $name; in the past it opens a branch",
    ),
    same("source", "source", "errors name file and line; -v as in gdb"),
    same("define", "define", "as in gdb; built-in commands cannot be redefined, hooks are offered instead"),
    same("document", "document", "as in gdb"),
    same("if", "if", "conditions are expressions; else if too"),
    same("while", "while", "as in gdb"),
    same("alias", "alias", "as in gdb"),
    same("echo", "echo", "as in gdb"),
    same("help", "help", "also help GROUP, help functions, help FUNCTION, help settings"),
    same("apropos", "apropos", "settings, options, sites and functions too"),
    same("tui", "layout", "the full screen is what llmdbg starts with on a terminal; --no-tui starts without it"),
    same("refresh", "", "Ctrl-L draws the screen again"),
    same("attach", "target", "target remote SOCKET goes to a session that llmdbg serve keeps"),
    same("detach", "disconnect", "the session elsewhere goes on if it is on a socket"),
    same("handle", "", "a model gets no signals; catch stops on its events"),
    same("signal", "", "a model gets no signals"),
    same("target", "target", "target remote goes to a session elsewhere; --device says where a model computes"),
    same("disconnect", "disconnect", "the session of this process goes on"),
    same("core-file", "load-dump", "values that other programs wrote; llmdbg core FILE opens what save core wrote"),
    same("generate-core-file", "save", "save core FILE, with or without values"),
    same("python", "", "python/client in the sources drives a session from Python; programs read --json"),
];

/// Subjects of gdb's info, and what reports the same here.
const SUBJECTS: &[(&str, &str)] = &[
    ("registers", "info locals shows the values of a module"),
    ("all-registers", "info locals shows the values of a module"),
    ("variables", "info sites lists the sites; $names are shown by print"),
    ("functions", "info modules lists the modules; help functions lists the functions of expressions"),
    ("symbol", "info line LOC says which ops a location is"),
    ("address", "info line LOC says which ops a location is"),
    ("source", "list shows the ops around the cursor"),
    ("sharedlibrary", "info model lists the files of the model"),
    ("files", "info model lists the files of the model"),
    ("threads", "focus shows the row, position and head that values are shown of"),
    ("inferiors", "info models lists the models of the session"),
    ("watchpoints", "info breakpoints lists stop points of all kinds"),
    ("signals", "a model gets no signals; help catch lists its events"),
    ("macro", "alias lists the aliases"),
];

/// What to type instead of a subject that only gdb's info has.
pub fn subject_instead_of(word: &str) -> Option<&'static str> {
    SUBJECTS.iter().find(|(name, _)| *name == word).map(|(_, instead)| *instead)
}

/// What to use instead of a command that only gdb has.
pub fn instead_of(word: &str) -> Option<String> {
    let found = COUNTERPARTS.iter().find(|known| known.gdb == word)?;
    Some(match found.ours {
        "" => found.differs.to_string(),
        ours => format!("gdb's {word} is {ours} here: {}", found.differs),
    })
}
