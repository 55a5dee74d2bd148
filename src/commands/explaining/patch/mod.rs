//! `patch`: what of another branch, put into this one, brings a number back?

use crate::commands::frame::{ALL, Done, SORT, TOP, mistake, number};
use crate::commands::state::{ANALYSING, Call, Command, Console, Takes};

mod edges;
mod sweep;

use crate::analysis::counterfactual::{circuit, paths};
use crate::analysis::patching::{Places, Source, Sweep};
use crate::answer::Table;
use crate::answer::numbers::significant;
use crate::commands::explaining::shown::indexed;
use crate::debugger::{Error, Result, RunScope};
use crate::lang::eval;
use crate::lang::words::Word;
use crate::lang::{Expr, LangError, Span, parse_assignment};
use crate::tensor::Axis;
use sweep::{Asked, swept};

pub const COMMAND: Command = Command {
    name: "patch",
    usage: "patch SIDE|zero|mean -metric EXPR [-site SITE] [-over AXES] [-approx|-both]\npatch sweep -from SIDE|zero|mean -metric EXPR ...\npatch SITE[SLICE] from SIDE\npatch BRANCH -metric EXPR -to HEAD.q|k|v\npatch BRANCH -metric EXPR -minimal [-faithful X]\n\
            patch BRANCH -edges -metric EXPR [-method eap|eap-ig|exact] [-steps N] [-nodes] [-both] [-curve [-random N] [-seed S]] [-top N] [-sort COLUMN] [-all]",
    about: "copy values of another branch, model or dump into this run, place by place, and measure how much of \
           a number is restored: activation patching",
    help: "SITE: resid_pre (the default), resid_mid, attn_out, mlp_out, attn.q, attn.k, attn.v, attn.z, \
           attn.pattern, mlp.post or any other site, of every block; L3.attn.z is a single site. Places are \
           heads, or positions if the site has no heads. 1 restores the number of the other side, 0 changes \
           nothing; for a dump, zero and mean, the change of the number is shown. The texts must have the same \
           number of tokens. The shares become $N. An interrupted sweep continues when it is requested again. \
           patch SITE[SLICE] from SIDE is one edit, kept until undo. -edges looks at what each \
           component reads of what each earlier one writes: the nodes are the embedding, heads (three inputs, queries, keys and values), \
           MLPs and logits. The score of an edge is what the number would gain if the edge carried what it carries in BRANCH: to \
           first order, difference times gradient (eap, or eap-ig with integrated gradients), or measured (exact). -nodes patches \
           whole nodes instead, an interchange intervention. -curve keeps the edges or nodes with the largest scores, has BRANCH's \
           values in all others, and shows how much of the number is left, next to random circuits of the same size.",
    options: &[
        ("-metric EXPR", "the number"),
        ("-from SIDE", "the side whose values are copied, for patch sweep"),
        ("-site SITE", "the site that is copied"),
        ("-over AXES", "axes of the site whose entries are places: layer,head,pos; layer is each block's as a whole"),
        ("-approx", "by gradients: attribution patching, fast and of first order"),
        ("-both", "the measurement and the approximation by gradients"),
        (
            "-to HEAD.PART",
            "path patching: the outputs of earlier heads copied only into the queries, keys or values of one head",
        ),
        ("-minimal", "the heads and MLPs that the number needs, by greedy ablation; the others are as in BRANCH"),
        ("-faithful X", "the share of the number that they must keep, 0.9 by default"),
        ("-edges", "edges between components instead of places"),
        ("-method M", "of edges: eap (the default), eap-ig or exact"),
        ("-steps N", "gradients that eap-ig takes, 5 by default"),
        ("-nodes", "of edges: whole nodes"),
        ("-curve", "of edges: how much of the number circuits of growing size keep"),
        ("-random N", "random circuits of each size, 5 by default"),
        ("-seed S", "of the random circuits"),
        TOP,
        SORT,
        ALL,
    ],
    examples: &[
        "run\nset tokens[9] = \" Mary\"\nrun\npatch main -metric logit(\" Mary\") - logit(\" John\")",
        "run\nset tokens[9] = \" Mary\"\nrun\npatch main -metric logit[5] -site attn.z",
        "run\npatch zero -metric logit[5] -site attn.z",
        "run\nset tokens[9] = \" Mary\"\nrun\npatch main -metric logit[5] -site L2.attn.pattern -over head,q",
        "run\nset tokens[9] = \" Mary\"\nrun\npatch main -metric logit[5] -site mlp_out -both",
        "run\nset tokens[9] = \" Mary\"\nrun\npatch L2.resid_pre[pos=9] from main",
        "load tiny-gpt2 as other\nset param(\"L1.mlp.W_out\") *= 0\nrun\npatch other -metric logit[5] -site mlp_out -over layer",
        "run\nset tokens[9] = \" Mary\"\nrun\npatch main -metric logit[5] -to L2H3.q",
        "run\nset tokens[9] = \" Mary\"\nrun\npatch main -metric 'logit(\" Mary\") - logit(\" John\")' -minimal",
        "run\nset tokens[9] = \" Mary\"\nrun\npatch main -edges -metric logit(\" Mary\") - logit(\" John\")",
        "run\nset tokens[9] = \" Mary\"\nrun\npatch main -edges -nodes -curve -random 2 -metric logit(\" Mary\") - logit(\" John\")",
    ],
    takes: Takes::Branch,
    run: patch,
    ..ANALYSING
};

/// What a circuit must keep of a number, unless another share is asked for.
const FAITHFUL: f64 = 0.9;

/// `patch BRANCH -metric EXPR [-site SITE] [-over AXES] [-approx|-both]`, `patch SITE[SLICE] from SIDE`.
pub fn patch(console: &mut Console, call: Call<'_>) -> Done {
    let (given, left) = call.options()?;
    if let [site, word, from] = left.as_slice()
        && word.text == "from"
    {
        if let Some(option) = given.iter().next() {
            let help = "patch SITE[slice] from BRANCH is one edit, kept until \"undo\"";
            return Err(mistake(format!("{} applies only to a sweep", option.name), option.span, help));
        }
        return one(console, site, from, call.line);
    }
    // `patch sweep -from main` is `patch main`.
    let start = Span::at(call.args.offset);
    let usage = "patch SIDE -metric EXPR -site resid_pre; patch L1.attn.z[head=2] from main";
    let word = match (left.as_slice(), given.value("-from")) {
        ([], Some(from)) => from,
        ([word], Some(from)) if word.text == "sweep" => from,
        ([word], _) => word,
        ([_, extra, ..], _) => return Err(given.stray(extra, usage)),
        ([], None) => return Err(mistake("patch needs a side whose values are copied", start, usage)),
    };
    let missing = || mistake("patch needs a number to watch", start, "-metric logit(...) - logit(...)");
    if given.has("-edges") {
        let source = source_of(console, word)?;
        let (expr, metric) = given.expr("-metric")?.ok_or_else(missing)?;
        return edges::edges(console, &edges::Asked { expr: &expr, metric, source, word, given: &given });
    }
    if let Some(option) = given.iter().find(|option| edges::OWN.contains(&option.name)) {
        let message = format!("{} belongs to -edges", option.name);
        return Err(mistake(message, option.span, "patch BRANCH -edges -metric EXPR"));
    }
    if given.has("-approx") && given.has("-both") {
        let message = "use -approx (gradients only) or -both (gradients next to the measurement)";
        return Err(mistake(message, start, "one of them at a time"));
    }
    let (to, is_minimal) = (given.value("-to"), given.has("-minimal"));
    let sweeps = ["-site", "-over", "-approx", "-both"];
    let of_sweep = given.iter().find(|option| sweeps.contains(&option.name));
    if let Some(option) = of_sweep.filter(|_| to.is_some() || is_minimal) {
        let message = format!("{} does not go with -to and -minimal", option.name);
        let help = "-to patches paths to one head, -minimal takes out heads and MLPs; both are measured";
        return Err(mistake(message, option.span, help));
    }
    if to.is_some() && is_minimal || given.has("-faithful") && !is_minimal {
        let message = "use -to or -minimal, not both; -faithful belongs to -minimal";
        return Err(mistake(message, start, "one of them at a time"));
    }
    let source = source_of(console, word)?;
    let (expr, metric) = given.expr("-metric")?.ok_or_else(missing)?;
    let asked = Asked { expr: &expr, metric, source, name: &word.text, given: &given };
    match (source, to) {
        (_, None) if !is_minimal => swept(console, &asked),
        (Source::Branch(from), Some(head)) => to_head(console, &expr, from, head),
        (Source::Branch(from), None) => {
            let share = |word| number(word, |x| (0.0..1.0).contains(x), "share: a number from 0 to 1");
            minimal(console, &expr, from, given.value("-faithful").map_or(Ok(FAITHFUL), share)?)
        }
        _ => {
            let message = "-to and -minimal take their values from a branch, not from a model, a dump, zero or mean";
            Err(mistake(message, word.span, "patch BRANCH -metric EXPR -minimal"))
        }
    }
}

/// Whose values a word names.
fn source_of(console: &Console, word: &Word) -> Result<Source> {
    let session = &console.session;
    let source = match (session.run.branch_named(&word.text), session.peer_named(&word.text), word.text.as_str()) {
        (Some(branch), ..) => Source::Branch(branch),
        (None, Some(peer), _) => Source::Peer(peer),
        (None, None, "zero") => Source::Zero,
        (None, None, "mean") => Source::Mean,
        (None, None, other) => {
            let help = format!("choose from {}, zero, mean", session.side_names().join(", "));
            return Err(mistake(format!("no branch, model or dump {other}"), word.span, help));
        }
    };
    if source == Source::Branch(session.run.current) {
        return Err(LangError::new("that is the current branch: its values are there already", word.span).into());
    }
    Ok(source)
}

/// `patch SITE[SLICE] from SIDE`: an edit that puts in the value that another branch, model or dump has there.
fn one(console: &mut Console, site: &Word, from: &Word, line: &str) -> Done {
    if console.session.side_named(&from.text).is_none() {
        let help = format!("there is {}", console.session.side_names().join(", "));
        return Err(mistake(format!("{} is not a branch, model or dump", from.text), from.span, help));
    }
    let (name, slice) = site.text.split_at(site.text.find('[').unwrap_or(site.text.len()));
    let assignment = parse_assignment(&format!("{name}{slice} = {name}@{}{slice}", from.text), 0);
    // Places are those of the site, which is all that the user wrote.
    let within = |error: LangError| LangError { span: site.span, ..error };
    let edit = console.edit_of(&assignment.map_err(within)?, line).map_err(|fail| match fail {
        Error::At(error) => Error::At(within(error)),
        other => other,
    })?;
    console.apply(vec![edit])
}

/// `patch BRANCH -metric EXPR -to L3H2.q`: direct paths from earlier heads to one head.
fn to_head(console: &mut Console, expr: &Expr, from: usize, word: &Word) -> Done {
    let wrong =
        || mistake(format!("{} is not an input of a head", word.text), word.span, "-to L3H2.q, L3H2.k or L3H2.v");
    let parts = word.text.split_once('.').filter(|(_, part)| ["q", "k", "v"].contains(part));
    let (name, part) = parts.ok_or_else(wrong)?;
    let (layer, head) = indexed(name, 'H').ok_or_else(wrong)?;
    let spec = &console.session.run.model.spec;
    if layer >= spec.n_layers || head >= spec.n_heads {
        return Err(LangError::new(format!("there is no head {name}"), word.span).into());
    }
    if layer == 0 {
        return Err(LangError::new("there is no head before block 0", word.span).into());
    }
    let width = spec.n_heads;
    let clean = console.number_in(from, expr)?;
    let (numbers, here) = paths(&mut console.session, expr, from, (layer, head, part))?;
    let program = console.session.run.program.clone();
    let sites = Places::of_blocks(&program, "attn.z", &[]).sites.into_iter().take(layer).collect();
    let found = Sweep { sites, over: vec![(Axis::Head, width)], numbers, here };
    let branch = console.session.run.branches[from].name.clone();
    let title = format!(
        "heads of {branch} put into {part} of {name} alone, the rest as it is (path patching, measured): share of what is lost that comes back; \
         {} here, {} in {branch}",
        significant(here, 5),
        significant(clean, 5)
    );
    console.map_of(&found, clean, title)
}

/// `patch BRANCH -metric EXPR -minimal`: the heads and MLPs that a number needs.
fn minimal(console: &mut Console, expr: &Expr, from: usize, wanted: f64) -> Done {
    let found = circuit(&mut console.session, expr, from, wanted)?;
    let branch = console.session.run.branches[from].name.clone();
    let [here, none, kept] = found.numbers.map(|x| significant(x, 5));
    let title = format!(
        "{} of {} heads and MLPs keep {} of the number (faithfulness), by greedy ablation: {here} with all, {none} with all as in {branch}, {kept} \
         with these alone; measured, and not the only circuit there may be",
        found.kept.len(),
        found.all,
        significant(found.faithfulness, 4)
    );
    let rows = found.kept.into_iter().map(|(one, loss)| (one.name(), loss));
    Ok(Table::new(["Component", "Lost without it alone"]).title(title).rows(rows).into())
}

impl Console {
    /// A number over the pass of another branch.
    pub(crate) fn number_in(&mut self, branch: usize, expr: &Expr) -> Result<f64> {
        // The other branch need not have come to a later pass.
        self.session.prompt_pass()?;
        Ok(eval::number(expr, &mut RunScope::new(&mut self.session.in_branch(branch)))?)
    }
}
