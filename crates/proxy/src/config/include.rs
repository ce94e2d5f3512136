//! `include`: files beside the configuration that hold tenants. It reads them whole, and never what is in them.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use gate::Digest;
use gate::policy::glob;

use super::files;
use super::problem::Flaw;
use super::reader::{Fields, Text};

const INCLUDE: &str = "a file, or files such as \"tenants.d/*.toml\"";

/// A file that holds tenants.
#[derive(Debug)]
pub(super) struct Sheet {
    pub(super) origin: PathBuf,
    pub(super) text: String,
}

/// A file or a directory as it was when somebody looked: when it was changed, and how long it is.
#[derive(Debug)]
pub(super) struct Look(Vec<u8>);

impl Look {
    /// At this path, whether anything is there or not.
    pub(super) fn at(path: &Path) -> Self {
        let mut look = path.as_os_str().as_encoded_bytes().to_vec();
        if let Ok(metadata) = fs::metadata(path) {
            let times = [
                metadata.mtime(),
                metadata.mtime_nsec(),
                metadata.size().cast_signed(),
            ];
            look.extend(times.iter().flat_map(|it| it.to_be_bytes()));
        }
        look.push(0);
        Self(look)
    }
}

/// The configuration as it was, what it includes by name, and all that was in the directories which it includes from.
fn looks(main: &Look, named: &[PathBuf], directories: &[PathBuf]) -> Digest {
    let mut all = main.0.clone();
    let mut paths: Vec<PathBuf> = named.iter().chain(directories).cloned().collect();
    for directory in directories {
        let entries = fs::read_dir(directory).into_iter().flatten().flatten();
        paths.extend(entries.map(|it| it.path()));
    }
    paths.sort();
    all.extend(paths.iter().flat_map(|it| Look::at(it).0));
    Digest::of(&all)
}

/// What a configuration includes.
#[derive(Debug)]
pub(super) struct Included {
    pub(super) sheets: Vec<Sheet>,
    named: Vec<PathBuf>,
    /// Directories of which all files are meant that fit a pattern.
    directories: Vec<PathBuf>,
    looks: Digest,
}

/// The files that a configuration was read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The configuration itself, and the files that it includes, in their order.
    pub files: Vec<PathBuf>,
    /// Directories in which more files may come to be included.
    pub directories: Vec<PathBuf>,
    /// SHA-256 over all of them and their names.
    pub digest: Digest,
    /// Those that are included by name.
    named: Vec<PathBuf>,
    /// How files and directories looked before they were read.
    looks: Digest,
}

impl Source {
    pub(super) fn of(text: &str, origin: &Path, included: Included) -> Self {
        let one = (origin, text);
        let all = included
            .sheets
            .iter()
            .map(|it| (it.origin.as_path(), &*it.text));
        let mut files = Vec::new();
        let mut digests = Vec::new();
        for (path, text) in std::iter::once(one).chain(all) {
            files.push(path.to_owned());
            for part in [path.as_os_str().as_encoded_bytes(), text.as_bytes()] {
                digests.extend_from_slice(Digest::of(part).as_bytes());
            }
        }
        Self {
            files,
            directories: included.directories,
            digest: Digest::of(&digests),
            named: included.named,
            looks: included.looks,
        }
    }

    /// How files and directories looked before they were read.
    pub fn looks(&self) -> Digest {
        self.looks
    }

    /// How they look now. It does not read them.
    pub fn look_again(&self) -> Digest {
        let main = self.files.first().map(|it| Look::at(it));
        let main = main.unwrap_or(Look(Vec::new()));
        looks(&main, &self.named, &self.directories)
    }
}

/// The files that `include` names, each once, in the order of the key and then of their names.
pub(super) fn included(top: &Fields<'_>, main: &Look) -> Included {
    let mut wanted = Vec::new();
    let (mut named, mut directories) = (Vec::new(), Vec::new());
    for name in top.texts("include", INCLUDE).unwrap_or_default() {
        match where_to(&top.page.path(name.text), &name) {
            Ok(Where::File(path)) => named.push(path),
            Ok(Where::Directory(path)) => directories.push(path),
            Err(flaw) => {
                top.page.flaw(&name.span, flaw);
                continue;
            }
        }
        wanted.push(name);
    }
    // Before they are read: what changes behind this is seen to have changed.
    let looks = looks(main, &named, &directories);
    let (mut sheets, mut seen) = (Vec::new(), BTreeSet::new());
    for name in wanted {
        match files_of(&top.page.path(name.text), &name) {
            Ok(paths) => {
                for path in paths.into_iter().filter(|it| seen.insert(it.clone())) {
                    sheets.extend(read(top, path, &name));
                }
            }
            Err(flaw) => top.page.flaw(&name.span, flaw),
        }
    }
    Included {
        sheets,
        named,
        directories,
        looks,
    }
}

/// Where files are that are included.
enum Where {
    File(PathBuf),
    Directory(PathBuf),
}

fn where_to(path: &Path, name: &Text<'_>) -> Result<Where, Flaw> {
    let (directory, pattern) = parts(name.text);
    if directory.contains('*') {
        let found = format!("\"include\" is the string \"{}\"", name.text);
        return Err(Flaw::found(found).expected("\"*\" in the name of the file only"));
    }
    if !pattern.contains('*') {
        return Ok(Where::File(path.to_owned()));
    }
    let place = path.parent().unwrap_or(Path::new(""));
    // An empty path is the directory of whoever runs this.
    let here = place.as_os_str().is_empty();
    let place = if here { Path::new(".") } else { place };
    Ok(Where::Directory(place.to_owned()))
}

/// A path's directory, and the name in it.
fn parts(text: &str) -> (&str, &str) {
    text.rsplit_once('/').unwrap_or(("", text))
}

/// The file of this name, or all that fit it. Hidden files fit nothing: editors and packagers keep theirs so.
fn files_of(path: &Path, name: &Text<'_>) -> Result<Vec<PathBuf>, Flaw> {
    let (directory, pattern) = parts(name.text);
    let place = match where_to(path, name)? {
        Where::File(path) => return Ok(vec![path]),
        Where::Directory(place) => place,
    };
    let unreadable = |error: std::io::Error| {
        let why = files::reason(&error);
        Flaw::found(format!("could not read directory \"{directory}\": {why}"))
    };
    let mut paths = Vec::new();
    for entry in fs::read_dir(place).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let file = entry.file_name();
        let file = file.to_string_lossy();
        if glob(pattern, &file) && !file.starts_with('.') && !entry.path().is_dir() {
            paths.push(path.with_file_name(&*file));
        }
    }
    paths.sort();
    Ok(paths)
}

fn read(top: &Fields<'_>, origin: PathBuf, name: &Text<'_>) -> Option<Sheet> {
    match files::text(&origin) {
        Ok(text) => Some(Sheet { origin, text }),
        Err((Some(place), flaw)) => {
            top.page.flaw_in(&origin, place, flaw);
            None
        }
        Err((None, flaw)) => {
            top.page.flaw(&name.span, flaw);
            None
        }
    }
}
