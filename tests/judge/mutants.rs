//! Statements of the corpus with something spliced in that a reader may take for something else, and what the server makes of
//! them. It never repairs a mutant: most do not parse, and then both must say so.

use harness::sandbox::Postgres;
use sql::{Catalog, Class};

use crate::corpus;
use crate::session::Session;
use crate::tally::{Tally, line, several};

/// What is spliced in. Each has fooled a splitter or a lexer before.
const SPLICES: [&str; 30] = [
    "/* ; */",
    "/* /* ; */ */",
    "/* */ */",
    "-- ;\n",
    "--\r;",
    "$$;$$",
    "$a$;$a$",
    "$a$ $b$ ; $b$ $a$",
    "E'\\';'",
    "E'a'\n'\\';'",
    "U&'\\003b'",
    "U&\"\\006eextval\"('s')",
    "'\\'; DELETE FROM onek; --'",
    "';'",
    "\";\"",
    "-/*'*/3",
    "<--;\n",
    "@/*;*/",
    "+-1",
    "\u{a0}",
    "\u{2003}",
    "\u{37e}",
    "\u{feff}",
    "((((",
    "))))",
    "; DELETE FROM onek",
    " END; DELETE FROM onek",
    "; ",
    "(SELECT nextval('s'))",
    "\x0b;\x0c",
];

/// Compares so many with the server.
pub(crate) fn compare(
    server: &Postgres,
    texts: &[&str],
    catalog: &Catalog,
    count: usize,
    tally: &mut Tally,
) {
    let mut session = Session::login(server, corpus::USER, corpus::DATABASE);
    session.say("SET statement_timeout = '2s'");
    session.say("SET lock_timeout = '200ms'");
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    for _ in 0..count {
        if texts.is_empty() {
            return;
        }
        let mutant = mutated(texts[dice.below(texts.len())], &mut dice);
        let reading = sql::read_for(&mutant, catalog);
        let said = session.parse(&mutant);
        let (many, syntax) = several(&said);
        let ours = reading
            .why_opaque
            .is_none()
            .then_some(reading.statements.len());
        let is_read = reading.class() == Some(Class::Read);
        let wrong = match ours {
            Some(ours) if !syntax && (ours > 1) != many => Some(format!("counted {ours}")),
            _ if is_read => written(&mut session, &mutant),
            _ => None,
        };
        let wrong = wrong.map(|what| format!("{what}: {}", line(&mutant)));
        tally.mutant(is_read, wrong);
    }
}

/// What the fence says of a read.
fn written(session: &mut Session, mutant: &str) -> Option<String> {
    session.say("BEGIN READ ONLY");
    let ran = session.say(mutant);
    session.say("ROLLBACK");
    (ran.code() == "25006").then(|| "classed read, and writes".to_owned())
}

/// One or two splices, mostly between words.
fn mutated(text: &str, dice: &mut Dice) -> String {
    let mut text = text.to_owned();
    for _ in 0..=dice.below(2) {
        let splice = SPLICES[dice.below(SPLICES.len())];
        let places: Vec<usize> = text
            .char_indices()
            .filter(|(_, c)| c.is_ascii_whitespace() || dice.below(8) == 0)
            .map(|(at, _)| at)
            .chain([text.len()])
            .collect();
        text.insert_str(places[dice.below(places.len())], splice);
    }
    text
}

/// Throws the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap_or(0) % end
    }
}
