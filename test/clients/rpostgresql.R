# The job with R, DBI and RPostgreSQL.  The connection is that of PGHOST, PGPORT, PGUSER, PGDATABASE and PGPASSWORD.
library(DBI)
suppressMessages(library(RPostgreSQL))
show <- function(...) cat(paste(..., sep = "\t"), sep = "\n")
# Parameters are sent as text, and as.character() keeps 15 digits; 17 hold every double.
exact <- function(x) sprintf("%.17g", x)

con <- dbConnect(PostgreSQL())
row <- dbGetQuery(con, "SELECT version, algorithm, rows_used FROM
	ml_train($1, $2, target => $3, algorithm => 'ridge', params => $4::jsonb, exclude => $5::text[])",
	c("stone", "stones", "price", '{"l2": 1}', "{id}"))
show("train", row$version, row$algorithm, row$rows_used)

# Parameters go beside the statement; one that is to be prepared once is prepared and executed by SQL.
invisible(dbGetQuery(con, "PREPARE score(text, float8) AS
	SELECT id, ml_predict($1, s) AS predicted FROM stones s WHERE carat >= $2 ORDER BY id"))
for (carat in c(0.9, 1, 1.05, 1.1, 1.15, 1.2, 1.25)) {
	rows <- dbGetQuery(con, sprintf("EXECUTE score('stone', %s)", exact(carat)))
	show("score", exact(carat), rows$id, exact(rows$predicted))
}
row <- dbGetQuery(con, "SELECT price_of($1, $2, NULL) AS predicted", exact(c(0.1 + 0.2, 61.5)))
show("new", exact(row$predicted))

rows <- dbGetQuery(con, "SELECT id, cut, price, prediction, price < prediction AS bargain FROM priced_stones ORDER BY id LIMIT 3")
do.call(show, c("types", lapply(rows, class)))
show("view", rows$id, rows$cut, rows$price, exact(rows$prediction), rows$bargain)

row <- dbGetQuery(con, "SELECT m::text AS metrics, (m->>'rmse')::float8 AS rmse
	FROM (SELECT ml_metrics(price, prediction) AS m FROM priced_stones) t")
show("metrics", row$metrics, exact(row$rmse))

# The driver has the message of an error, not its SQLSTATE, and returns NULL with a warning.
invisible(suppressWarnings(dbGetQuery(con, "SELECT ml_predict($1, s) FROM stones s", "missing")))
show("error", dbGetException(con)$errorMsg)

# Nor can it cancel: a limit for the statement does.
invisible(dbGetQuery(con, "SET statement_timeout = '2s'"))
invisible(suppressWarnings(dbGetQuery(con, "SELECT version FROM ml_train('stone', 'SELECT sin(i) AS x, i AS y
	FROM (SELECT generate_series(1, 1000000000) AS i) s', target => 'y', algorithm => 'linear')")))
show("cancel", dbGetException(con)$errorMsg)
invisible(dbDisconnect(con))
