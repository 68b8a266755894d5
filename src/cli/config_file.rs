//! `--config` and `--resume`: options from a file, read as if they had been typed before those of the command line.

use super::arguments::Arguments;
use super::train_options::TrainOptions;
use clap::parser::ValueSource;
use clap::{ArgAction, ArgMatches, Command, CommandFactory, FromArgMatches};
use ffcl_gpu::config::RunOptions;
use ffcl_gpu::output::run_directory;
use ffcl_gpu::suggestion::nearest;
use ffcl_gpu::{Error, Result, home};
use serde_json::{Map, Value};
use std::ffi::{OsStr, OsString};
use std::path::Path;

/// Options that are about this call, and say nothing about a run.
const ABOUT_THE_CALL: [&str; 3] = ["config", "resume", "help"];

/// Parses the command line, with the options of the files that it names. What clap refuses ends the program, with its message.
pub fn parse(arguments: Vec<OsString>) -> Result<Arguments> {
    let arguments: Vec<OsString> = arguments.iter().map(|word| home::expand_argument(word)).collect();
    let matches = Arguments::command().get_matches_from(&arguments);
    let whole = match matches.subcommand() {
        Some(("train", train)) => match with_files(train, &arguments)? {
            Some((path, whole)) => Arguments::command().try_get_matches_from(whole).map_err(|error| within(&path, &error))?,
            None => matches,
        },
        _ => matches,
    };
    Arguments::from_arg_matches(&whole).map_err(|error| error.exit())
}

/// The first line of clap's message, as an error about the file.
fn within(path: &Path, error: &clap::Error) -> Error {
    let text = error.to_string();
    let line = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
    Error::Configuration(format!("{}, with the command line: {line}; mend one of them", path.display()))
}

/// The file, and the command line with its options.
fn with_files(train: &ArgMatches, arguments: &[OsString]) -> Result<Option<(std::path::PathBuf, Vec<OsString>)>> {
    let path = |name| train.get_one::<std::path::PathBuf>(name).cloned();
    let command = Arguments::command();
    let Some(command) = command.find_subcommand("train") else { return Ok(None) };
    let mut command = command.clone();
    // Else what `flatten` brought in is not known yet.
    command.build();
    let (path, mut options) = match (path("config"), path("resume")) {
        (Some(path), _) => {
            let options = run_directory::read_options(&path, "give --config a TOML file, or a run's config.json")?;
            (path, options)
        }
        (None, Some(directory)) => {
            let path = directory.join(run_directory::CONFIG);
            let options = run_directory::read_options(&path, "give --resume the folder of a run")?;
            refuse_changes(&command, train, &directory)?;
            (path, options)
        }
        (None, None) => return Ok(None),
    };
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
    Ok(Some((path, [head, &typed, tail].concat())))
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
            "--{long} cannot change when a run goes on; leave it out, or begin a new run with --config {}",
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
        let no_value = || fail(format!("gives `{name}` a value that it cannot have: {value}"), "see train --help".into());
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
