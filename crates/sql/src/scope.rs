//! Which bare names are common table expressions, and where. It never knows a table.

/// The scopes of one statement. Names are gathered during the walk and looked up when it is over, since a statement's WITH
/// comes after its FROM in the tree.
#[derive(Debug, Default)]
pub(crate) struct Scopes {
    all: Vec<Scope>,
    open: Vec<usize>,
}

/// One SELECT, INSERT, UPDATE, DELETE or MERGE, or the inside of one common table expression.
#[derive(Debug)]
struct Scope {
    /// The scope around it, and how many of that one's expressions it sees if it does not see them all.
    around: Option<(usize, Option<usize>)>,
    names: Vec<String>,
    recursive: bool,
}

impl Scopes {
    /// A statement begins: it sees all of its surroundings' names.
    pub(crate) fn statement(&mut self) {
        let around = self.open.last().map(|&at| (at, None));
        self.push(around);
    }

    /// A common table expression begins: it sees those before it, or all of them if RECURSIVE.
    pub(crate) fn expression(&mut self) {
        let around = self.open.last().map(|&at| {
            let before = self.all.get(at).map_or(0, |scope| scope.names.len());
            (at, Some(before))
        });
        self.push(around);
    }

    fn push(&mut self, around: Option<(usize, Option<usize>)>) {
        self.open.push(self.all.len());
        self.all.push(Scope {
            around,
            names: Vec::new(),
            recursive: false,
        });
    }

    /// The innermost scope ends.
    pub(crate) fn leave(&mut self) {
        self.open.pop();
    }

    /// The open expression has this name, in the scope around it.
    pub(crate) fn name(&mut self, name: &str) {
        let around = self
            .open
            .last()
            .and_then(|&at| self.all.get(at))
            .and_then(|scope| scope.around);
        if let Some(scope) = around.and_then(|(at, _)| self.all.get_mut(at)) {
            scope.names.push(name.to_owned());
        }
    }

    /// The innermost scope's WITH is RECURSIVE, or not.
    pub(crate) fn recursive(&mut self, recursive: bool) {
        if let Some(scope) = self.open.last().and_then(|&at| self.all.get_mut(at)) {
            scope.recursive = recursive;
        }
    }

    /// Where the walk stands, for a later `names_expression`.
    pub(crate) fn here(&self) -> Option<usize> {
        self.open.last().copied()
    }

    /// Whether a bare `name` written at `place` is a common table expression.
    pub(crate) fn names_expression(&self, place: Option<usize>, name: &str) -> bool {
        let mut next = place.map(|at| (at, None));
        while let Some((at, before)) = next {
            let Some(scope) = self.all.get(at) else {
                return false;
            };
            let seen = match before {
                Some(before) if !scope.recursive => before,
                _ => scope.names.len(),
            };
            if scope.names.iter().take(seen).any(|known| known == name) {
                return true;
            }
            next = scope.around;
        }
        false
    }
}
