// The language that all words here are in, for numbers and dates to go with them. Another language changes this file,
// `plural` and the words beside them, and nothing else.

export const NUMBERS = "en";
/** The day before the month, and 24 hours, which no reader of English takes for anything else. */
export const DATES = "en-GB";
