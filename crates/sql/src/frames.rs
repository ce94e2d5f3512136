//! The structs that a walk is in the middle of, innermost last. It says where the walk is and judges nothing.

use std::ops::{Deref, DerefMut};

/// A struct being walked.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) kind: &'static str,
    pub(crate) field: &'static str,
    /// Where its name parts begin.
    pub(crate) parts: usize,
    pub(crate) call: Call,
}

/// What a FuncCall adds up to.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Call {
    pub(crate) args: usize,
    pub(crate) ordered: usize,
    pub(crate) within_group: bool,
    pub(crate) variadic: bool,
    /// The first argument is a constant that is cast to a type.
    pub(crate) typed: bool,
}

/// They themselves.
#[derive(Debug, Default)]
pub(crate) struct Frames(Vec<Frame>);

impl Deref for Frames {
    type Target = Vec<Frame>;

    fn deref(&self) -> &Vec<Frame> {
        &self.0
    }
}

impl DerefMut for Frames {
    fn deref_mut(&mut self) -> &mut Vec<Frame> {
        &mut self.0
    }
}

impl Frames {
    /// `unnest(a, b)` in FROM, and only there, is the server's own `unnest(a), unnest(b)`.
    pub(crate) fn unnests_each(&self, parts: &[String]) -> bool {
        let in_from = matches!(
            self.0.as_slice(),
            [.., from, outer, list, inner]
                if (from.kind, from.field) == ("RangeFunction", "functions")
                    && [outer.kind, list.kind, inner.kind] == ["Node", "List", "Node"]
        );
        in_from && parts == ["unnest"]
    }

    /// A constant was met: `f(null::t, ...)` tells f a type whose cast is judged, and nothing else.
    pub(crate) fn typed_constant(&mut self) {
        if let [
            ..,
            Frame {
                kind: "FuncCall",
                field: "args",
                call,
                ..
            },
            Frame { kind: "Node", .. },
            Frame {
                kind: "TypeCast",
                field: "arg",
                ..
            },
            Frame { kind: "Node", .. },
        ] = self.0.as_mut_slice()
        {
            call.typed |= call.args == 1;
        }
    }

    /// The three innermost structs and where in each the walk is, innermost last; empty names for those that are not there.
    pub(crate) fn innermost(&self) -> [(&'static str, &'static str); 3] {
        let mut innermost = [("", ""); 3];
        for (place, frame) in innermost.iter_mut().rev().zip(self.0.iter().rev()) {
            *place = (frame.kind, frame.field);
        }
        innermost
    }

    /// Whether the innermost struct is of this kind, and at this field.
    pub(crate) fn is_in(&self, kind: &str, field: &str) -> bool {
        self.0
            .last()
            .is_some_and(|it| (it.kind, it.field) == (kind, field))
    }

    /// The innermost struct that is more than a wrapper, and where in it the walk is.
    pub(crate) fn owner(&self) -> Option<(&'static str, &'static str)> {
        let mut owners = self.0.iter().rev();
        let owner = owners.find(|frame| frame.kind != "Node");
        owner.map(|frame| (frame.kind, frame.field))
    }
}
