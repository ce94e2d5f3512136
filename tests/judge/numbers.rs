//! Texts of the corpus with other numbers in them: where the gate would take the reading of one for that of the other, they are
//! read the same, to the last field. It never asks the server.

use sql::{Catalog, masked, read_for};

use crate::tally::line;

/// How far each digit is moved on. With 9s and 0s in the corpus, both ends are met.
const SHIFTS: [u8; 3] = [1, 4, 9];

/// How many findings are told.
const TOLD_MAX: usize = 40;

/// What was compared so far.
pub(crate) struct Numbers {
    /// Of a database that has nothing of the user's. The suite makes an operator class early, behind which something of the
    /// user's may run in every comparison: from then on no text of its own database is known by its mask.
    plain: Catalog,
    masked: usize,
    otherwise: Vec<String>,
}

impl Numbers {
    pub(crate) fn new(plain: Catalog) -> Self {
        Numbers {
            plain,
            masked: 0,
            otherwise: Vec::new(),
        }
    }

    /// Compares a text with others of its mask, as it is read against this catalog and where there is nothing to know.
    pub(crate) fn compare(&mut self, text: &str, catalog: &Catalog) {
        if masked(text).is_none() {
            return;
        }
        let others = SHIFTS.map(|shift| shifted(text, shift));
        let mut counts = false;
        for catalog in [catalog, &self.plain] {
            let reading = read_for(text, catalog);
            if reading.numbers_decide() {
                continue;
            }
            counts = true;
            let otherwise = others
                .iter()
                .find(|other| read_for(other, catalog) != reading);
            let told = otherwise.map(|other| format!("{} | {}", line(text), line(other)));
            self.otherwise.extend(told);
        }
        self.masked += usize::from(counts);
    }

    pub(crate) fn is_clean(&self) -> bool {
        self.otherwise.is_empty()
    }

    pub(crate) fn print(&self) {
        for found in self.otherwise.iter().take(TOLD_MAX) {
            println!("  read otherwise: {found}");
        }
        println!(
            "numbers masked {}: {} read otherwise",
            self.masked,
            self.otherwise.len()
        );
    }
}

/// Every digit moved on that the mask does not tell from another.
fn shifted(text: &str, shift: u8) -> String {
    let mask = masked(text);
    let mut other = text.to_owned();
    for (at, byte) in text.bytes().enumerate() {
        if byte.is_ascii_digit() {
            let digit = char::from(b'0' + (byte - b'0' + shift) % 10);
            let mut moved = other.clone();
            moved.replace_range(at..=at, digit.encode_utf8(&mut [0; 4]));
            if masked(&moved) == mask {
                other = moved;
            }
        }
    }
    other
}
