//! Self-contained pages for a browser.

use std::fmt::Write;

/// Blue for positive and orange for negative numbers, which people with colour blindness can distinguish.
const ADDS: &str = "33,102,172";
const TAKES: &str = "230,97,1";

/// A page with each token coloured by its number, and a table of the numbers with bars. Without `bars` it has no bars
/// and no colours, for numbers that they would misrepresent. The lines of `title` are at the top.
pub fn tokens(title: &str, tokens: &[(String, f64)], bars: bool) -> String {
    let largest = tokens.iter().fold(0.0f64, |largest, (_, x)| largest.max(x.abs()));
    let share = |x: f64| if bars && largest > 0.0 && x.is_finite() { x.abs() / largest } else { 0.0 };
    let mut lines = title.lines();
    let head = escaped(lines.next().unwrap_or_default());
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>{head}</title>\n<style>\n\
         body {{ font: 15px/1.6 system-ui, sans-serif; margin: 2em auto; max-width: 60em; }}\n\
         .text {{ font-family: ui-monospace, monospace; line-height: 2; }}\n\
         .text span {{ padding: 0.2em 0; white-space: pre-wrap; }}\n\
         table {{ border-collapse: collapse; font-family: ui-monospace, monospace; }}\n\
         td, th {{ padding: 0.1em 0.8em; text-align: right; }} td.token {{ text-align: left; white-space: pre; }}\n\
         td.bar {{ text-align: left; }} td.bar div {{ height: 0.8em; }}\n\
         </style>\n</head>\n<body>\n<h1>{head}</h1>\n"
    );
    for line in lines {
        _ = writeln!(page, "<p>{}</p>", escaped(line));
    }
    page.push_str("<p class=\"text\">");
    for (token, x) in tokens {
        let colour = if *x < 0.0 { TAKES } else { ADDS };
        let shown = escaped(&token.replace('\n', "\u{21b5}\n"));
        let depth = 0.8 * share(*x);
        _ = write!(page, "<span style=\"background:rgba({colour},{depth:.3})\" title=\"{x}\">{shown}</span>");
    }
    page.push_str("</p>\n<table>\n<tr><th>#</th><th>token</th><th>value</th><th></th></tr>\n");
    for (i, (token, x)) in tokens.iter().enumerate() {
        let colour = if *x < 0.0 { TAKES } else { ADDS };
        let bar = format!("<div style=\"width:{:.2}em;background:rgb({colour})\"></div>", 15.0 * share(*x));
        let token = escaped(&crate::answer::text::visible(token));
        _ = writeln!(
            page,
            "<tr><td>{i}</td><td class=\"token\">{token}</td><td>{x:.6}</td><td class=\"bar\">{bar}</td></tr>"
        );
    }
    page.push_str("</table>\n</body>\n</html>\n");
    page
}

/// Text with the characters of markup replaced by entities.
pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    #[test]
    fn tokens_are_coloured_by_size_and_sign_and_never_markup() {
        let tokens = [("<s>".to_string(), 0.0), (" \"a\" & b".to_string(), 2.0), ("x".to_string(), -1.0)];
        let page = tokens_page(&tokens);
        assert!(page.contains("rgba(33,102,172,0.800)\" title=\"2\"> &quot;a&quot; &amp; b</span>"), "{page}");
        assert!(page.contains("rgba(230,97,1,0.400)\" title=\"-1\">x</span>"), "{page}");
        assert!(page.contains("&lt;s&gt;") && !page.contains("<s>"), "{page}");
        assert!(page.contains("<h1>ig of &lt;x&gt;</h1>\n<p>second line</p>"), "{page}");
        // The page loads nothing from elsewhere.
        assert!(!page.contains("http") && !page.contains("<script"), "{page}");
        assert!(tokens_page(&[("a".into(), f64::NAN)]).contains("rgba(33,102,172,0.000)"));
    }

    fn tokens_page(tokens: &[(String, f64)]) -> String {
        super::tokens("ig of <x>\nsecond line", tokens, true)
    }
}
