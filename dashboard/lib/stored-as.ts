/** The key of the preferences in the browser's storage. The script in the head of every page reads it before the first paint. */
export const STORED_AS = "preferences";
