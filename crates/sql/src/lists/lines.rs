//! How the tables in `data` are written: lines of words, and `--` before what is said about them. It never fails: what is
//! malformed is on no list, and the tests of the lists say so.

use crate::Major;

/// The lines that say something, each as its words.
pub(super) fn lines(text: &'static str) -> impl Iterator<Item = Vec<&'static str>> {
    text.lines()
        .filter(|line| !line.starts_with("--") && !line.is_empty())
        .map(|line| line.split(' ').collect())
}

/// Some of the majors.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Majors(u8);

impl Majors {
    pub(super) const ALL: Majors = Majors(u8::MAX);

    /// `14-` and newer, `14-16`, `17` alone, or several of these with a comma between.
    pub(super) fn written(text: &str) -> Option<Majors> {
        let mut bits = 0;
        for run in text.split(',') {
            let (from, to) = match run.split_once('-') {
                Some((from, "")) => (major(from)?, Major::GRAMMAR),
                Some((from, to)) => (major(from)?, major(to)?),
                None => (major(run)?, major(run)?),
            };
            for major in Major::ALL {
                bits |= u8::from(from <= major && major <= to) << major.index();
            }
        }
        Some(Majors(bits))
    }

    pub(super) fn contains(self, major: Major) -> bool {
        self.0 >> major.index() & 1 == 1
    }
}

fn major(number: &str) -> Option<Major> {
    Major::new(number.parse().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_majors() {
        let spelled = |text| {
            let majors = Majors::written(text)?;
            let mut numbers = Vec::new();
            for major in Major::ALL {
                if majors.contains(major) {
                    numbers.push(major.to_string());
                }
            }
            Some(numbers.join(" "))
        };
        assert_eq!(spelled("14-").unwrap(), "14 15 16 17 18");
        assert_eq!(spelled("16-").unwrap(), "16 17 18");
        assert_eq!(spelled("14-15,17").unwrap(), "14 15 17");
        assert_eq!(spelled("17").unwrap(), "17");
        for wrong in ["", "13", "19-", "x", "14-19", "-15"] {
            assert_eq!(spelled(wrong), None, "{wrong}");
        }
    }
}
