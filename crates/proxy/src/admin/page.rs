//! Metrics as Prometheus reads them: its text format 0.0.4. It never knows what a metric means.

use std::fmt::{self, Display, Write};

/// What goes up only, or up and down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Gauge,
}

/// A page of metrics.
#[derive(Debug, Default)]
pub(super) struct Page(String);

/// One metric, whose samples stand together.
pub(super) struct Family<'a> {
    page: &'a mut Page,
    name: &'static str,
}

impl Page {
    /// Begins a metric. Its name goes behind `portcullis_`.
    pub(super) fn family(&mut self, kind: Kind, name: &'static str, help: &str) -> Family<'_> {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        };
        self.write(format_args!(
            "# HELP portcullis_{name} {help}\n# TYPE portcullis_{name} {kind}\n"
        ));
        Family { page: self, name }
    }

    /// A metric of one sample.
    pub(super) fn one(&mut self, kind: Kind, name: &'static str, help: &str, value: impl Display) {
        self.family(kind, name, help).sample(&[], value);
    }

    pub(super) fn into_text(self) -> String {
        self.0
    }

    fn write(&mut self, text: fmt::Arguments<'_>) {
        // There is always room in a string.
        let _written = self.0.write_fmt(text);
    }
}

impl Family<'_> {
    /// One more sample.
    pub(super) fn sample(&mut self, labels: &[(&str, &str)], value: impl Display) {
        let Self { page, name } = self;
        page.write(format_args!("portcullis_{name}"));
        for (number, (label, value)) in labels.iter().enumerate() {
            let before = if number == 0 { '{' } else { ',' };
            page.write(format_args!("{before}{label}=\"{}\"", Escaped(value)));
        }
        let after = if labels.is_empty() { "" } else { "}" };
        page.write(format_args!("{after} {value}\n"));
    }
}

/// A label's value: a backslash, a quote or the end of a line would end it.
struct Escaped<'a>(&'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '\\' => f.write_str("\\\\")?,
                '"' => f.write_str("\\\"")?,
                '\n' => f.write_str("\\n")?,
                other => f.write_char(other)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_as_prometheus_reads_it() {
        let mut page = Page::default();
        page.one(Kind::Gauge, "draining", "Whether it stops.", 0);
        let mut family = page.family(Kind::Counter, "requests_total", "Requests.");
        family.sample(&[("tenant", "a\"b\\c\nd"), ("class", "read")], 7);
        let expected = "# HELP portcullis_draining Whether it stops.\n\
            # TYPE portcullis_draining gauge\n\
            portcullis_draining 0\n\
            # HELP portcullis_requests_total Requests.\n\
            # TYPE portcullis_requests_total counter\n\
            portcullis_requests_total{tenant=\"a\\\"b\\\\c\\nd\",class=\"read\"} 7\n";
        assert_eq!(page.into_text(), expected);
    }
}
