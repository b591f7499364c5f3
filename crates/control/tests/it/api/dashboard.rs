mod overview;
