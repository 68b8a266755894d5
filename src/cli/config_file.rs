//! `--config` and `--resume`: options from a file, read as if they had been typed before those of the command line.

use super::arguments::{self, Arguments};
use super::train_options::TrainOptions;
use clap::parser::ValueSource;
use clap::{ArgAction, ArgMatches, Args, Command, CommandFactory, FromArgMatches};
use ffcl_gpu::config::RunOptions;
use ffcl_gpu::dataset::input::Reading;
use ffcl_gpu::output::run_directory::{self, FileOptions};
use ffcl_gpu::suggestion::nearest;
use ffcl_gpu::{Error, Result, home};
use serde_json::{Map, Value};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// The option that says by which rules data is read.
const READING: &str = "reading";

/// Options of this call that are not part of a run.
const ABOUT_THE_CALL: [&str; 3] = ["config", "resume", "help"];

/// Parses the command line, with the options of the files that it names. What clap refuses ends the program, with its message.
pub fn parse(arguments: Vec<OsString>) -> Result<Arguments> {
    let arguments: Vec<OsString> = arguments.iter().map(|word| home::expand_argument(word)).collect();
    let matches = Arguments::command().get_matches_from(&arguments);
    let Some(("train", train)) = matches.subcommand() else {
        return Arguments::from_arg_matches(&matches).map_err(|error| error.exit());
    };
    let Files { whole, typed } = with_files(train, &arguments)?;
    let whole = match whole {
        Some((path, whole)) => Arguments::command().try_get_matches_from(whole).map_err(|error| within(&path, &error))?,
        None => matches,
    };
    let mut parsed = Arguments::from_arg_matches(&whole).map_err(|error| error.exit())?;
    if let arguments::Command::Train(options) = &mut parsed.command {
        options.typed = typed;
    }
    Ok(parsed)
}

/// The command line, with the options of files.
struct Files {
    /// The file, and the command line with its options.
    whole: Option<(PathBuf, Vec<OsString>)>,
    /// The names of options that a person wrote, there or here.
    typed: Vec<String>,
}

/// The first line of clap's message, as an error about the file.
fn within(path: &Path, error: &clap::Error) -> Error {
    let text = error.to_string();
    let line = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
    Error::Configuration(format!("{}, with the command line: {line}; correct one of them", path.display()))
}

fn with_files(train: &ArgMatches, arguments: &[OsString]) -> Result<Files> {
    let path = |name| train.get_one::<PathBuf>(name).cloned();
    let mut command = TrainOptions::augment_args(Command::new("train"));
    // Else what `flatten` brought in is not known yet.
    command.build();
    let longs = command.get_arguments().filter_map(clap::Arg::get_long);
    let mut by_hand: Vec<String> = longs.filter(|long| is_given(train, &command, long)).map(str::to_owned).collect();
    let (path, mut options, is_record) = match (path("config"), path("resume")) {
        (Some(path), _) => {
            let FileOptions { values, is_record } =
                run_directory::read_options(&path, "give --config a TOML file, or a run's config.json")?;
            if !is_record {
                by_hand.extend(values.keys().cloned());
            }
            (path, values, is_record)
        }
        (None, Some(directory)) => {
            let path = directory.join(run_directory::CONFIG);
            let FileOptions { values, .. } = run_directory::read_options(&path, "give --resume the folder of a run")?;
            refuse_changes(&command, train, &directory)?;
            (path, values, true)
        }
        (None, None) => return Ok(Files { whole: None, typed: by_hand }),
    };
    // The record of a run from before there was a choice says nothing of it.
    if is_record && !options.contains_key(READING) {
        options.insert(READING.into(), Reading::First.to_string().into());
    }
    // A new number of epochs is the whole length of the run.
    if is_given(train, &command, "epochs") && !is_given(train, &command, "max-steps") {
        options.remove("max-steps");
    }
    // A recipe is the options that it stands for; a file that names them all would leave nothing of it.
    if is_given(train, &command, "recipe") {
        RunOptions::TABLE.iter().filter(|option| option.of_recipe).for_each(|option| {
            options.remove(&option.name());
        });
    }
    let typed = typed(&path, &command, train, &options)?;
    // Behind the name of the program and of the command, which has no options before it.
    let (head, tail) = arguments.split_at(arguments.len().min(2));
    Ok(Files { whole: Some((path, [head, &typed, tail].concat())), typed: by_hand })
}

/// Whether an option stands on the command line, or in the environment.
fn is_given(train: &ArgMatches, command: &Command, long: &str) -> bool {
    let argument = command.get_arguments().find(|argument| argument.get_long() == Some(long));
    argument.is_some_and(|argument| match train.value_source(argument.get_id().as_str()) {
        Some(ValueSource::CommandLine) => true,
        // An empty variable is like none.
        Some(ValueSource::EnvVariable) => {
            let mut values = train.get_raw(argument.get_id().as_str()).into_iter().flatten();
            values.any(|value| !value.is_empty())
        }
        _ => false,
    })
}

/// Whether an option may change when a run goes on.
fn may_change(long: &str) -> bool {
    let mut of_run = RunOptions::TABLE.iter().filter(|option| option.may_change);
    TrainOptions::MAY_CHANGE.contains(&long) || of_run.any(|option| option.name() == long)
}

/// A run that goes on must be the same run.
fn refuse_changes(command: &Command, train: &ArgMatches, directory: &Path) -> Result<()> {
    let longs = command.get_arguments().filter_map(clap::Arg::get_long);
    match longs.filter(|long| !may_change(long)).find(|long| is_given(train, command, long)) {
        Some(long) => Err(Error::Configuration(format!(
            "--{long} cannot change when a run goes on; remove it, or begin a new run with --config {}",
            directory.join(run_directory::CONFIG).display()
        ))),
        None => Ok(()),
    }
}

/// The options of a file as they would be typed, less those that the command line has, or that contradict one that it has.
fn typed(path: &Path, command: &Command, train: &ArgMatches, options: &Map<String, Value>) -> Result<Vec<OsString>> {
    let fail = |problem: String, remedy: String| Error::Format { path: path.to_owned(), problem, remedy };
    let mut typed = Vec::new();
    for (name, value) in options {
        let known = || command.get_arguments().filter_map(clap::Arg::get_long).filter(|long| !ABOUT_THE_CALL.contains(long));
        let argument =
            command.get_arguments().find(|argument| argument.get_long() == Some(name) && known().any(|long| long == name));
        let Some(argument) = argument else {
            let remedy =
                nearest(name, known()).map_or_else(|| "see train --help".into(), |near| format!("did you mean `{near}`?"));
            return Err(fail(format!("has the unknown option `{name}`"), remedy));
        };
        // A conflict is declared by one of both options.
        let conflicts = |one: &clap::Arg, other: &clap::Arg| {
            command.get_arg_conflicts_with(one).iter().any(|conflict| conflict.get_id() == other.get_id())
        };
        let mut given =
            command.get_arguments().filter(|given| given.get_long().is_some_and(|long| is_given(train, command, long)));
        if given.any(|given| given.get_id() == argument.get_id() || conflicts(given, argument) || conflicts(argument, given)) {
            continue;
        }
        let no_value = || fail(format!("gives `{name}` a value of the wrong kind: {value}"), "see train --help".into());
        match (argument.get_action(), value) {
            (_, Value::Null) | (ArgAction::SetTrue, Value::Bool(false)) => {}
            (ArgAction::SetTrue, Value::Bool(true)) => typed.push(format!("--{name}").into()),
            (ArgAction::SetTrue, _) => return Err(no_value()),
            (_, Value::Array(values)) => {
                let texts = values.iter().map(text).collect::<Option<Vec<_>>>().ok_or_else(no_value)?;
                typed.push(format!("--{name}={}", texts.join(",")).into());
            }
            (_, value) => {
                let word = format!("--{name}={}", text(value).ok_or_else(no_value)?);
                typed.push(home::expand_argument(OsStr::new(&word)));
            }
        }
    }
    Ok(typed)
}

/// One value as it would be typed.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        _ => None,
    }
}
