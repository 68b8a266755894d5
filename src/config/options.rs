//! The options of a run that a recipe governs, each given or not: one structure for the command line and for files, so that both
//! use the same names.

use super::{
    Adam, Augmentation, Guide, HiddenLoss, Method, OutputLoss, Recipe, Representation, Schedule, TrainingConfig, Widths,
};
use clap::Args;
use serde::{Deserialize, Serialize};

/// What was asked of a run. What was not given is the recipe's.
#[derive(Args, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct RunOptions {
    /// Scale pixels to mean 0 and deviation 1 of the training set instead of 0 to 1.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL", help_heading = "Data")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub standardize: Option<bool>,
    /// Shift each training image by up to N pixels along each axis, anew in each epoch, A's and B's copy independently.
    #[arg(long, value_name = "N", help_heading = "Data")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shift: Option<u32>,
    /// Turn it by up to so many degrees either way.
    #[arg(long, value_name = "DEGREES", help_heading = "Data")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rotation: Option<f64>,
    /// Resize it by up to this fraction either way.
    #[arg(long, value_name = "FRACTION", help_heading = "Data")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale: Option<f64>,
    /// A and B see the same changes.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL", help_heading = "Data")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shared_view: Option<bool>,

    /// Widths of the network, input first, classes last, such as 784,64,64,10; `auto` at either end is what the data has.
    #[arg(long, value_name = "WIDTHS", help_heading = "Model")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layers: Option<Widths>,
    /// Widths of the hidden layers alone; input and output are the data's. Default: 64,64.
    #[arg(long, value_delimiter = ',', value_name = "WIDTHS", conflicts_with = "layers", help_heading = "Model")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hidden: Option<Vec<usize>>,

    /// A named set of options; those given here win over it. Default: contrastive, or ffcl3 for that method.
    #[arg(long, value_enum, help_heading = "Method")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recipe: Option<Recipe>,
    /// How the networks learn.
    #[arg(long, value_enum, help_heading = "Method")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<Method>,
    /// Loss of the output layer.
    #[arg(long, value_enum, help_heading = "Method")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_loss: Option<OutputLoss>,
    /// Loss of the hidden layers.
    #[arg(long, value_enum, help_heading = "Method")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hidden_loss: Option<HiddenLoss>,
    /// What the cosine loss compares.
    #[arg(long, value_enum, help_heading = "Method")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub representation: Option<Representation>,
    /// Subtract the batch's mean from what the cosine loss compares.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL", help_heading = "Method")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub centre: Option<bool>,
    /// Whose prototypes guide the hidden layers.
    #[arg(long, value_enum, help_heading = "Method")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guide: Option<Guide>,
    /// Width of the projection between a hidden layer and its prototypes; 0 for none.
    #[arg(long, value_name = "WIDTH", help_heading = "Method")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub projection: Option<usize>,
    /// Divides the cosines to the prototypes.
    #[arg(long, help_heading = "Method")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// Share of a hidden layer's target that is the partner's answer about the same image instead of the label.
    #[arg(long, value_name = "FRACTION", help_heading = "Method")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mutual: Option<f64>,
    /// Bring each row of a hidden layer's output to one length before the next layer reads it.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL", help_heading = "Method")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub normalize: Option<bool>,

    /// Passes over the training set.
    #[arg(long, help_heading = "Training")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epochs: Option<u32>,
    /// Images in a step; images that fill no whole batch are left out of the epoch.
    #[arg(long, help_heading = "Training")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_size: Option<usize>,
    /// Learning rate of Adam.
    #[arg(long, help_heading = "Training")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub learning_rate: Option<f64>,
    /// How it changes over the run.
    #[arg(long, value_enum, help_heading = "Training")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule: Option<Schedule>,
}

impl RunOptions {
    /// The run on images like MNIST's, where widths are left to the data: for checks that need no data.
    pub fn config(&self) -> TrainingConfig {
        self.fitted_to(784, 10)
    }

    /// The run on images of `pixels` numbers and `classes` classes: the recipe, with the options that were given.
    pub fn fitted_to(&self, pixels: usize, classes: usize) -> TrainingConfig {
        let recipe = self.recipe.unwrap_or_else(|| Recipe::of(self.method.unwrap_or_default())).config();
        TrainingConfig {
            layers: self.widths(&recipe.layers).fitted_to(pixels, classes),
            epochs: self.epochs.unwrap_or(recipe.epochs),
            batch_size: self.batch_size.unwrap_or(recipe.batch_size),
            adam: Adam { learning_rate: self.learning_rate.unwrap_or(recipe.adam.learning_rate), ..recipe.adam },
            schedule: self.schedule.unwrap_or(recipe.schedule),
            seed: recipe.seed,
            replicas: recipe.replicas,
            shuffle: recipe.shuffle,
            max_steps: recipe.max_steps,
            method: self.method.unwrap_or(recipe.method),
            output_loss: self.output_loss.unwrap_or(recipe.output_loss),
            hidden_loss: self.hidden_loss.unwrap_or(recipe.hidden_loss),
            representation: self.representation.unwrap_or(recipe.representation),
            centre: self.centre.unwrap_or(recipe.centre),
            guide: self.guide.unwrap_or(recipe.guide),
            projection: self.projection.unwrap_or(recipe.projection),
            temperature: self.temperature.unwrap_or(recipe.temperature),
            mutual: self.mutual.unwrap_or(recipe.mutual),
            normalize: self.normalize.unwrap_or(recipe.normalize),
            augmentation: Augmentation {
                shift: self.shift.unwrap_or(recipe.augmentation.shift),
                rotation: self.rotation.unwrap_or(recipe.augmentation.rotation),
                scale: self.scale.unwrap_or(recipe.augmentation.scale),
                shared: self.shared_view.unwrap_or(recipe.augmentation.shared),
            },
            standardize: self.standardize.unwrap_or(recipe.standardize),
        }
    }

    /// The options that come to `config`, each of them given.
    pub fn of(config: &TrainingConfig) -> Self {
        Self {
            standardize: Some(config.standardize),
            shift: Some(config.augmentation.shift),
            rotation: Some(config.augmentation.rotation),
            scale: Some(config.augmentation.scale),
            shared_view: Some(config.augmentation.shared),
            layers: Some(config.layers.clone().into()),
            hidden: None,
            recipe: None,
            method: Some(config.method),
            output_loss: Some(config.output_loss),
            hidden_loss: Some(config.hidden_loss),
            representation: Some(config.representation),
            centre: Some(config.centre),
            guide: Some(config.guide),
            projection: Some(config.projection),
            temperature: Some(config.temperature),
            mutual: Some(config.mutual),
            normalize: Some(config.normalize),
            epochs: Some(config.epochs),
            batch_size: Some(config.batch_size),
            learning_rate: Some(config.adam.learning_rate),
            schedule: Some(config.schedule),
        }
    }

    /// The widths asked for; hidden ones alone have the first and the last from the data, and so have the recipe's.
    fn widths(&self, recipe: &[usize]) -> Widths {
        let of_recipe = recipe.get(1..recipe.len().saturating_sub(1)).unwrap_or_default();
        self.layers.clone().unwrap_or_else(|| Widths::around(self.hidden.as_deref().unwrap_or(of_recipe)))
    }

    /// Whether the network's shape was given, in one way or the other.
    pub fn has_shape(&self) -> bool {
        self.layers.is_some() || self.hidden.is_some()
    }

    /// These options, and where they say nothing those of `base`.
    pub fn over(&self, base: &RunOptions) -> RunOptions {
        // Two ways to say the same: one's own takes the place of the base's other.
        let base = &if self.has_shape() { RunOptions { layers: None, hidden: None, ..base.clone() } } else { base.clone() };
        macro_rules! first_given {
            ($($field:ident)*) => {
                RunOptions { $($field: self.$field.clone().or_else(|| base.$field.clone()),)* }
            };
        }
        first_given! {
            standardize shift rotation scale shared_view layers hidden recipe method output_loss hidden_loss representation centre guide
            projection temperature mutual normalize epochs batch_size learning_rate schedule
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_given_is_the_recipes() {
        assert_eq!(RunOptions::default().config(), Recipe::default().config());
        let paper = RunOptions { recipe: Some(Recipe::Paper), epochs: Some(3), ..RunOptions::default() };
        assert_eq!(paper.config(), TrainingConfig { epochs: 3, ..Recipe::Paper.config() });
        let staged = RunOptions { method: Some(Method::Ffcl3), ..RunOptions::default() };
        assert_eq!(staged.config(), Recipe::Ffcl3.config());
    }

    #[test]
    fn a_run_can_be_repeated_from_its_options() {
        for recipe in [Recipe::Contrastive, Recipe::Paper, Recipe::Centred, Recipe::Ffcl3] {
            let config = recipe.config();
            let options = RunOptions::of(&config);
            assert_eq!(options.config(), config);
            let written: RunOptions = toml::from_str(&toml::to_string(&options).unwrap()).unwrap();
            // Every option but the recipe, which needs no naming then.
            assert_eq!(toml::Table::try_from(&written).unwrap().len(), toml::Table::try_from(&options).unwrap().len());
            assert_eq!(written.config(), config);
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
        assert_eq!(hidden.over(&both).config().layers, [784, 3, 10]);
        assert_eq!(both.over(&hidden), both);
    }

    #[test]
    fn the_data_decides_the_widths_that_are_not_given() {
        assert_eq!(RunOptions::default().fitted_to(3072, 5).layers, [3072, 64, 64, 5]);
        let hidden = RunOptions { hidden: Some(vec![7, 6]), ..RunOptions::default() };
        assert_eq!(hidden.fitted_to(3072, 5).layers, [3072, 7, 6, 5]);
        let layers = RunOptions { layers: "auto,7,10".parse().ok(), ..RunOptions::default() };
        assert_eq!(layers.fitted_to(3072, 5).layers, [3072, 7, 10]);
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
            representation = 'pre-activation'\ncentre = true\nguide = 'own'\nprojection = 3\ntemperature = 1\nmutual = 0.3\nnormalize = true
            shift = 1\nrotation = 2\nscale = 0.1\nshared-view = true\nstandardize = true\nepochs = 2\nbatch-size = 5
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
}
