use super::*;

#[test]
fn what_is_not_given_is_the_recipes() {
    assert_eq!(RunOptions::default().config().unwrap(), Recipe::default().config());
    let paper = RunOptions { recipe: Some(Recipe::Paper), epochs: Some(3), ..RunOptions::default() };
    assert_eq!(paper.config().unwrap(), TrainingConfig { epochs: 3, ..Recipe::Paper.config() });
    let staged = RunOptions { method: Some(Method::Ffcl3), ..RunOptions::default() };
    assert_eq!(staged.config().unwrap(), Recipe::Ffcl3.config());
}

#[test]
fn a_run_can_be_repeated_from_its_options() {
    for recipe in [Recipe::Contrastive, Recipe::Paper, Recipe::Centred, Recipe::Ffcl3] {
        let config = recipe.config();
        let options = RunOptions::of(&config);
        assert_eq!(options.config().unwrap(), config);
        let written: RunOptions = toml::from_str(&toml::to_string(&options).unwrap()).unwrap();
        // Every option but the recipe, which needs no naming then.
        assert_eq!(toml::Table::try_from(&written).unwrap().len(), toml::Table::try_from(&options).unwrap().len());
        assert_eq!(written.config().unwrap(), config);
    }
}

#[test]
fn own_options_win_over_the_base() {
    let base = RunOptions { epochs: Some(3), guide: Some(Guide::Own), ..RunOptions::default() };
    let own = RunOptions { guide: Some(Guide::Partner), layers: Some(vec![4, 2].into()), ..RunOptions::default() };
    let both = own.over(&base);
    assert_eq!(both, RunOptions { epochs: Some(3), ..own });
    assert_eq!(RunOptions::default().over(&both), both);
    let hidden = RunOptions { hidden: Some(vec![3]), ..RunOptions::default() };
    assert_eq!(hidden.over(&both).config().unwrap().architecture.widths(), [784, 3, 10]);
    assert_eq!(both.over(&hidden), both);
}

#[test]
fn the_data_decides_the_widths_that_are_not_given() {
    assert_eq!(RunOptions::default().fitted_to(3072, 5).unwrap().architecture.widths(), [3072, 64, 64, 5]);
    let hidden = RunOptions { hidden: Some(vec![7, 6]), ..RunOptions::default() };
    assert_eq!(hidden.fitted_to(3072, 5).unwrap().architecture.widths(), [3072, 7, 6, 5]);
    let layers = RunOptions { layers: "auto,7,10".parse().ok(), ..RunOptions::default() };
    assert_eq!(layers.fitted_to(3072, 5).unwrap().architecture.widths(), [3072, 7, 10]);
}

#[test]
fn files_use_the_names_of_the_command_line() {
    use clap::CommandFactory;
    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        options: RunOptions,
    }
    let given = "recipe = 'paper'\nmethod = 'backprop'\noutput-loss = 'cross-entropy'\nhidden-loss = 'cosine'
        centre = true\nguide = 'own'\nprojection = 3\ntemperature = 1\nhead-rate = 4\nnormalize = true
        dropout = 0.2
        shift = 1\nrotation = 2\nscale = 0.1\nelastic = 2\nflip = true\nshared-view = true\nstandardize = true\nlabel-noise = 'pair:0.2'\ntrust = 'partner'\ntrust-rate = '0.2'\ntrust-ramp = 3\nlabelled = 100\npseudo-threshold = 0.8\npseudo-ramp = 2\nepochs = 2\nbatch-size = 5
        learning-rate = 1e-3\nschedule = 'cosine'\nlayers = [4, 2]";
    let options: RunOptions = toml::from_str(given).unwrap();
    let written = toml::Table::try_from(&options).unwrap();
    let mut names: Vec<_> = written.keys().cloned().collect();
    let mut options_of_line: Vec<_> =
        Line::command().get_arguments().filter_map(|argument| argument.get_long().map(str::to_owned)).collect();
    names.sort();
    options_of_line.sort();
    // The one that excludes another of them.
    options_of_line.retain(|name| name != "hidden");
    assert_eq!(names, options_of_line);
    let line = given.lines().flat_map(|line| {
        let (name, value) = line.trim().split_once(" = ").unwrap();
        let value = value.trim_matches(['\'', '[', ']']).replace(' ', "");
        [format!("--{name}={value}")]
    });
    let line = <Line as clap::Parser>::parse_from(std::iter::once("line".to_owned()).chain(line));
    assert_eq!(line.options, options);
    assert_eq!(toml::from_str::<RunOptions>(&toml::to_string(&options).unwrap()).unwrap(), options);
    let hidden = toml::from_str::<RunOptions>("hidden = [3, 2]").unwrap();
    assert_eq!(<Line as clap::Parser>::parse_from(["line", "--hidden=3,2"]).options, hidden);
}

/// What a user gave is refused where it makes no sense; what it makes no difference to is not.
#[test]
fn options_of_another_hidden_loss_are_refused_where_they_would_change_something() {
    let given = |text: &str| toml::from_str::<RunOptions>(text).unwrap().config();
    for (text, option) in [
        ("centre = true", "--centre"),
        ("hidden-loss = 'pairs'\ncentre = true", "--centre"),
        ("recipe = 'centred'\nhidden-loss = 'prototypes'", "--centre"),
        ("recipe = 'paper'\ntemperature = 0", "--temperature"),
    ] {
        let message = given(text).unwrap_err().to_string();
        assert!(message.contains(option), "{text}: {message}");
    }
    let paper = Recipe::Paper.config();
    assert_eq!(given("recipe = 'paper'\nguide = 'own'\nprojection = 3\ntemperature = 0.2").unwrap(), paper);
    // They are written down all the same.
    let options = RunOptions { hidden_loss: Some(HiddenLossKind::Pairs), ..RunOptions::default() };
    assert_eq!(options.complete(784, 10).projection, Some(32));
    assert_eq!(options.complete(784, 10).config().unwrap(), options.config().unwrap());
}

#[test]
fn what_was_typed_and_changes_nothing_is_refused() {
    let options = |text: &str| toml::from_str::<RunOptions>(text).unwrap();
    for (text, option, owner) in [
        ("hidden-loss = 'head'\ntemperature = 0.3", "--temperature", "--hidden-loss prototypes or instances"),
        ("recipe = 'paper'\nguide = 'own'", "--guide", "--hidden-loss prototypes or instances"),
        ("recipe = 'heads'\nprojection = 8", "--projection", "--hidden-loss prototypes or instances"),
        ("method = 'backprop'\ntemperature = 0.3", "--temperature", "--method"),
        ("centre = false", "--centre", "--hidden-loss cosine"),
        ("trust-rate = 0.2", "--trust-rate", "--trust own, partner, exchange, output or co-teaching"),
        ("trust-ramp = 2", "--trust-ramp", "--trust own, partner, exchange, output or co-teaching"),
    ] {
        let options = options(text);
        options.config().unwrap();
        let message = options.refuse_idle(&options.given()).unwrap_err().to_string();
        assert!(message.contains(option) && message.contains(owner), "{text}: {message}");
        // A recorded run says all that it could.
        options.refuse_idle(&[]).unwrap();
    }
    for text in [
        "temperature = 0.3",
        "recipe = 'paper'\ncentre = false",
        "hidden-loss = 'instances'\nguide = 'own'",
        "trust = 'own'\ntrust-rate = 0.2",
        "hidden-loss = 'head'\ndropout = 0.1",
    ] {
        let options = options(text);
        options.refuse_idle(&options.given()).unwrap();
    }
    for recipe in [Recipe::Contrastive, Recipe::Heads, Recipe::Paper, Recipe::Centred, Recipe::Ffcl3] {
        let options = RunOptions { recipe: Some(recipe), ..RunOptions::default() };
        options.refuse_idle(&options.given()).unwrap();
    }
}
