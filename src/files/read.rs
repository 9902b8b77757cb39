//! Reads many sources on all cores: one thread cuts, the others parse, and the results are merged by source.

use std::io::{self, ErrorKind, Read as _};
use std::num::NonZero;
use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver, Sender, SyncSender};
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::blocks::{BLOCK, Input, Window};
use super::consumer::{Consumer, Place, ReadFailure};
use super::fault::shortened;
use super::json;
use super::parse::{Parsed, parse};
use super::piece::{Borders, CutError, Piece, Pieces};
use super::sources::Source;
use super::yaml::{self, Before};
use crate::yaml::Encoding;

/// The outcome of reading one source.
#[derive(Debug)]
pub struct Found<P> {
    /// The consumer's result for its objects.
    pub part: P,
    /// The parts that could not be read.
    pub unread: Vec<ReadFailure>,
}

/// The stack of a worker in bytes, which is enough for the deepest nesting that is read. Only what is used takes memory.
const STACK: usize = 16 << 20;

/// The way in which a pass reads its sources.
#[derive(Debug, Clone, Copy)]
struct Mode {
    borders: Borders,
    /// True if the lines of objects are asked for.
    lines: bool,
}

/// Reads the sources that were found at paths. An unreadable part of a source doesn't affect the rest.
///
/// With `lines`, each object's line is exact. Without an object in all sources, each of the paths is an error.
pub fn read<C: Consumer>(
    paths: &[PathBuf],
    sources: Vec<Source>,
    lines: bool,
    consumer: &C,
) -> Vec<Found<C::Part>> {
    let mut all = Vec::new();
    // A wrong guess is corrected by a second reading, so only repeatable sources are guessed at.
    let (guessed, mut exact): (Vec<_>, Vec<_>) = sources.into_iter().partition(Source::is_repeatable);
    let (found, mut documents) = pass(&guessed, Mode { borders: Borders::Guessed, lines }, consumer);
    for (source, (found, exactly)) in guessed.into_iter().zip(found) {
        if exactly || found.unread.is_empty() {
            all.push(found);
        } else {
            exact.push(source);
        }
    }
    let (found, more) = pass(&exact, Mode { borders: Borders::Exact, lines: true }, consumer);
    all.extend(found.into_iter().map(|(found, _)| found));
    documents += more;
    if documents == 0 && all.iter().all(|found| found.unread.is_empty()) {
        // Some files of a directory may be empty, but not all.
        let message = "there is no Kubernetes object in it: its files are empty or hold only comments";
        let paths = paths.iter().map(|path| path.display().to_string());
        all.extend(paths.map(|path| nothing(consumer, path, message.to_owned())));
    }
    all
}

/// Returns the outcome of a source that can't be read at all.
fn nothing<C: Consumer>(consumer: &C, source: String, message: String) -> Found<C::Part> {
    let unread = vec![ReadFailure { source, document: None, line: None, message }];
    Found { part: consumer.part(), unread }
}

/// The place to which the result of a piece is added: a source, and a list in it.
#[derive(Debug, Clone, Copy)]
struct Target {
    source: usize,
    list: Option<usize>,
}

/// The result of a worker: its place, what was parsed, and the buffer for the next piece.
type Done<P> = (Target, Parsed<P>, Vec<u8>);

/// The outcome of a source, and whether no border in it was guessed.
type Read<P> = (Found<P>, bool);

/// Reads sources once. Returns the outcome of each and the total number of documents.
fn pass<C: Consumer>(sources: &[Source], mode: Mode, consumer: &C) -> (Vec<Read<C::Part>>, usize) {
    let workers = thread::available_parallelism().map_or(1, NonZero::get);
    let named: Vec<(&Source, String)> = sources.iter().map(|source| (source, source.name())).collect();
    let (jobs, queue) = mpsc::sync_channel(2 * workers);
    let (results, done) = mpsc::channel();
    let queue = Mutex::new(queue);
    thread::scope(|scope| {
        for _ in 0..workers {
            let (results, queue, named) = (results.clone(), &queue, &named);
            let start =
                |results: Sender<Done<C::Part>>| move || work(queue, &results, mode.lines, named, consumer);
            let builder = thread::Builder::new().stack_size(STACK);
            if builder.spawn_scoped(scope, start(results.clone())).is_err() {
                scope.spawn(start(results));
            }
        }
        drop(results);
        let found =
            sources.iter().map(|_| (Found { part: consumer.part(), unread: Vec::new() }, true)).collect();
        let mut dispatcher = Dispatcher {
            consumer,
            jobs,
            done,
            found,
            spare: Vec::new(),
            target: Target { source: 0, list: None },
            name: "",
            lists: Vec::new(),
        };
        let mut documents = 0;
        for (index, (source, name)) in named.iter().enumerate() {
            dispatcher.target = Target { source: index, list: None };
            dispatcher.name = name;
            documents += dispatcher.cut(source, name, mode);
        }
        (dispatcher.finish(), documents)
    })
}

fn work<C: Consumer>(
    queue: &Mutex<Receiver<(Target, Piece)>>,
    results: &Sender<Done<C::Part>>,
    lines: bool,
    sources: &[(&Source, String)],
    consumer: &C,
) {
    loop {
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok((target, piece)) = job else { return };
        let (named, name) = &sources[target.source];
        let parsed = parse(&piece, lines, (named, name), consumer);
        if results.send((target, parsed, piece.text.bytes)).is_err() {
            return;
        }
    }
}

/// Gives pieces to the workers, and merges their results.
struct Dispatcher<'c, C: Consumer> {
    consumer: &'c C,
    jobs: SyncSender<(Target, Piece)>,
    done: Receiver<Done<C::Part>>,
    found: Vec<Read<C::Part>>,
    spare: Vec<Vec<u8>>,
    /// The place of the next piece.
    target: Target,
    /// The name of the source.
    name: &'c str,
    /// The lists that were read apart, each with its source; `None` for a list that does not count.
    lists: Vec<Option<(usize, Found<C::Part>)>>,
}

impl<C: Consumer> Dispatcher<'_, C> {
    /// Cuts a source into pieces, and returns the number of its documents.
    fn cut(&mut self, source: &Source, name: &str, mode: Mode) -> usize {
        let error = match self.cut_stream(source, name, mode) {
            Ok(0) if source.is_named() => (
                None,
                None,
                "there is no Kubernetes object in it: it is empty or holds only comments".to_owned(),
            ),
            Ok(documents) => return documents,
            Err(CutError::Syntax { message, document, line }) => (Some(document), Some(line), message),
            Err(CutError::Read(error)) if error.kind() == ErrorKind::NotFound => {
                (None, None, "there is no such file or directory".to_owned())
            }
            Err(error @ CutError::Read(_)) => (None, None, error.to_string()),
        };
        let (document, line, message) = error;
        let message = shortened(message);
        self.found[self.target.source].0.unread.push(ReadFailure {
            source: name.to_owned(),
            document,
            line,
            message,
        });
        0
    }

    fn cut_stream(&mut self, source: &Source, name: &str, mode: Mode) -> Result<usize, CutError> {
        let mut input = source.open()?;
        if let Some(copies) = self.consumer.copies().filter(|_| source.is_read_once()) {
            input = copies.copying(name, input);
        }
        let mut window = Window::new(&mut input, self.spare());
        window.fill(BLOCK)?;
        let Some(encoding) = Encoding::of(window.bytes()) else {
            return self.cut_text(&mut window, mode);
        };
        let start = io::Cursor::new(window.bytes().to_vec());
        let mut decoded = Input::Stream(Box::new(encoding.decode(start.chain(input))));
        let mut window = Window::new(&mut decoded, self.spare());
        window.fill(BLOCK)?;
        self.cut_text(&mut window, mode)
    }

    /// Cuts what is encoded as UTF-8; the window holds its beginning.
    fn cut_text(&mut self, window: &mut Window<'_>, mode: Mode) -> Result<usize, CutError> {
        check_text(window.bytes())?;
        if window.bytes().starts_with(b"\xef\xbb\xbf") {
            window.skip(3);
        }
        if json::is_json(window) {
            self.found[self.target.source].1 = mode.borders == Borders::Exact;
            json::cut(window, mode.borders, mode.lines, self)
        } else {
            yaml::cut(window, Before::default(), self)
        }
    }

    fn collect(&mut self, (target, parsed, buffer): Done<C::Part>) {
        let found = match target.list {
            None => Some(&mut self.found[target.source].0),
            Some(list) => self.lists[list].as_mut().map(|(_, found)| found),
        };
        if let Some(found) = found {
            self.consumer.merge(&mut found.part, parsed.part);
            found.unread.extend(parsed.unread);
        }
        self.spare.push(buffer);
    }

    fn finish(mut self) -> Vec<Read<C::Part>> {
        // Dropping the sender ends the workers and so the results.
        self.jobs = mpsc::sync_channel(0).0;
        while let Ok(done) = self.done.recv() {
            self.collect(done);
        }
        for (source, list) in self.lists.into_iter().flatten() {
            let (found, _) = &mut self.found[source];
            self.consumer.merge(&mut found.part, list.part);
            found.unread.extend(list.unread);
        }
        for (found, _) in &mut self.found {
            found.unread.sort_by_key(|unread| unread.line);
        }
        self.found
    }
}

impl<C: Consumer> Pieces for Dispatcher<'_, C> {
    fn push(&mut self, piece: Piece) {
        // A send fails only when all workers have ended, and then there are no results either.
        let _ = self.jobs.send((self.target, piece));
    }

    fn spare(&mut self) -> Vec<u8> {
        while let Ok(done) = self.done.try_recv() {
            self.collect(done);
        }
        self.spare.pop().unwrap_or_default()
    }

    fn begin_list(&mut self) {
        if let Some(list) = self.target.list {
            self.lists[list] = None;
        }
        let found = Found { part: self.consumer.part(), unread: Vec::new() };
        self.lists.push(Some((self.target.source, found)));
        self.target.list = Some(self.lists.len() - 1);
    }

    fn end_list(&mut self) {
        self.target.list = None;
    }

    fn note(&mut self, line: usize, message: &str) {
        let place = Place { source: self.name, line, line_of: &|_| None };
        self.consumer.note(&mut self.found[self.target.source].0.part, place, message);
    }
}

/// Refuses input that is not UTF-8 text, with a clearer message than a parser's.
fn check_text(start: &[u8]) -> Result<(), CutError> {
    let message = if start[..start.len().min(8192)].contains(&0) {
        "not a text file: manifests are YAML or JSON, in UTF-8 or in UTF-16 with a byte-order mark"
    } else {
        return Ok(());
    };
    Err(CutError::Syntax { message: message.to_owned(), document: 1, line: 1 })
}

#[cfg(test)]
mod tests;
