export const notFound = { title: "This page does not exist", text: "The address may be misspelled, or the page was moved.", home: "Open the start page" };
