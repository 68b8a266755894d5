//! The macro behind the table of options.

/// Makes [`super::RunOptions`] from a table: for the command line, for files, and for the run that they describe.
///
/// A row is `/// help`, attributes of clap, then `name: type => place, [facts];`. The place is the field of a [`super::Draft`] that the
/// option sets; rows without one are treated by hand. Facts are fields of [`super::OptionFacts`]. `of Owner` behind them says that the
/// option is idle in a run without that [`super::Owner`].
macro_rules! options {
    ($($heading:literal { $(
        $(#[doc = $help:literal])* $(#[arg($($clap:tt)*)])?
        $option:ident: $type:ty $(=> $($place:ident).+)?, [$($fact:ident),*] $(of $owner:ident)?;
    )* })*) => {
        /// What was asked of a run. What was not given is the recipe's.
        #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
        #[cfg_attr(feature = "program", derive(clap::Args))]
        #[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
        pub struct RunOptions { $($(
            $(#[doc = $help])*
            $(#[cfg_attr(feature = "program", arg($($clap)*))])?
            #[cfg_attr(feature = "program", arg(long, help_heading = $heading))]
            #[serde(skip_serializing_if = "Option::is_none")]
            pub $option: Option<$type>,
        )*)* }

        impl RunOptions {
            /// What is known of each option, in the order of the table.
            pub const TABLE: &[OptionFacts] = &[$($(
                OptionFacts { $($fact: true,)* $(owner: Some(Owner::$owner),)? ..OptionFacts::new(stringify!($option), concat!($($help),*)) },
            )*)*];

            /// The names of those that are given.
            pub fn given(&self) -> Vec<String> {
                let given = [$($( self.$option.is_some(), )*)*];
                Self::TABLE.iter().zip(given).filter(|(_, given)| *given).map(|(option, _)| option.name()).collect()
            }

            /// Each option as it is here, and where it is not given, as in `base`.
            fn or(&self, base: &Self) -> Self {
                Self { $($( $option: self.$option.clone().or_else(|| base.$option.clone()), )*)* }
            }

            /// Sets what is given.
            fn write(&self, draft: &mut Draft) { $($($(
                if let Some(value) = &self.$option {
                    draft.$($place).+ = Clone::clone(value);
                }
            )?)*)* }

            /// Every option that has a place.
            fn read(draft: &Draft) -> Self {
                Self { $($($( $option: Some(Clone::clone(&draft.$($place).+)), )?)*)* ..Self::default() }
            }
        }
    };
}

pub(super) use options;
