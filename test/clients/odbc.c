/*
 * The job with ODBC: gcc -o odbc odbc.c -lodbc -lpthread
 * The connection is that of PGHOST, PGPORT, PGUSER, PGDATABASE and PGPASSWORD.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sql.h>
#include <sqlext.h>

static SQLHENV environment;
static SQLHSTMT running;

/* Prints the error of a statement, if it has one: SQLSTATE and message. */
static int
failed(const char *what, SQLSMALLINT type, SQLHANDLE handle, SQLRETURN result)
{
	SQLCHAR		state[6],
				message[1024];

	if (SQL_SUCCEEDED(result) || result == SQL_NO_DATA)
		return 0;
	SQLGetDiagRec(type, handle, 1, state, NULL, message, sizeof(message), NULL);
	printf("%s\t%s\t%s\n", what, state, message);
	return 1;
}

static SQLHDBC
connect_server(void)
{
	SQLHDBC		con;
	char		text[1024];

	snprintf(text, sizeof(text), "DRIVER={PostgreSQL Unicode};Server=%s;Port=%s;Database=%s;Uid=%s;Pwd=%s", getenv("PGHOST"),
			 getenv("PGPORT"), getenv("PGDATABASE"), getenv("PGUSER"), getenv("PGPASSWORD"));
	SQLAllocHandle(SQL_HANDLE_DBC, environment, &con);
	if (failed("connect", SQL_HANDLE_DBC, con, SQLDriverConnect(con, NULL, (SQLCHAR *) text, SQL_NTS, NULL, 0, NULL, SQL_DRIVER_NOPROMPT)))
		exit(1);
	return con;
}

static SQLHSTMT
prepare(SQLHDBC con, const char *sql)
{
	SQLHSTMT	stmt;

	SQLAllocHandle(SQL_HANDLE_STMT, con, &stmt);
	failed("prepare", SQL_HANDLE_STMT, stmt, SQLPrepare(stmt, (SQLCHAR *) sql, SQL_NTS));
	return stmt;
}

static void
bind_text(SQLHSTMT stmt, int number, const char *value)
{
	SQLBindParameter(stmt, number, SQL_PARAM_INPUT, SQL_C_CHAR, SQL_VARCHAR, 255, 0, (SQLPOINTER) value, 0, NULL);
}

static void
bind_double(SQLHSTMT stmt, int number, double *value)
{
	SQLBindParameter(stmt, number, SQL_PARAM_INPUT, SQL_C_DOUBLE, SQL_DOUBLE, 0, 0, value, 0, NULL);
}

static void
train(SQLHDBC con)
{
	SQLHSTMT	stmt = prepare(con, "SELECT version, algorithm, rows_used FROM "
							   "ml_train(?, ?, target => ?, algorithm => 'ridge', params => ?::jsonb, exclude => ?::text[])");
	SQLINTEGER	version;
	SQLBIGINT	rows;
	char		algorithm[64];

	bind_text(stmt, 1, "stone");
	bind_text(stmt, 2, "stones");
	bind_text(stmt, 3, "price");
	bind_text(stmt, 4, "{\"l2\": 1}");
	bind_text(stmt, 5, "{id}");
	if (failed("train", SQL_HANDLE_STMT, stmt, SQLExecute(stmt)))
		exit(1);
	SQLFetch(stmt);
	SQLGetData(stmt, 1, SQL_C_SLONG, &version, 0, NULL);
	SQLGetData(stmt, 2, SQL_C_CHAR, algorithm, sizeof(algorithm), NULL);
	SQLGetData(stmt, 3, SQL_C_SBIGINT, &rows, 0, NULL);
	printf("train\t%d\t%s\t%ld\n", (int) version, algorithm, (long) rows);
	SQLFreeHandle(SQL_HANDLE_STMT, stmt);
}

static void
score(SQLHDBC con)
{
	SQLHSTMT	stmt = prepare(con, "SELECT id, ml_predict(?, s) FROM stones s WHERE carat >= ? ORDER BY id");
	double		limits[] = {0.9, 1, 1.05, 1.1, 1.15, 1.2, 1.25};
	double		carat,
				depth = 61.5,
				predicted;
	SQLINTEGER	id;
	SQLLEN		null = SQL_NULL_DATA;

	bind_text(stmt, 1, "stone");
	bind_double(stmt, 2, &carat);
	for (int i = 0; i < 7; i++)
	{
		carat = limits[i];
		if (failed("score", SQL_HANDLE_STMT, stmt, SQLExecute(stmt)))
			exit(1);
		while (SQL_SUCCEEDED(SQLFetch(stmt)))
		{
			SQLGetData(stmt, 1, SQL_C_SLONG, &id, 0, NULL);
			SQLGetData(stmt, 2, SQL_C_DOUBLE, &predicted, 0, NULL);
			printf("score\t%.17g\t%d\t%.17g\n", carat, (int) id, predicted);
		}
		SQLFreeStmt(stmt, SQL_CLOSE);
	}
	SQLFreeHandle(SQL_HANDLE_STMT, stmt);

	stmt = prepare(con, "SELECT price_of(?, ?, ?)");
	carat = 0.1 + 0.2;
	bind_double(stmt, 1, &carat);
	bind_double(stmt, 2, &depth);
	SQLBindParameter(stmt, 3, SQL_PARAM_INPUT, SQL_C_CHAR, SQL_VARCHAR, 255, 0, NULL, 0, &null);
	failed("new", SQL_HANDLE_STMT, stmt, SQLExecute(stmt));
	SQLFetch(stmt);
	SQLGetData(stmt, 1, SQL_C_DOUBLE, &predicted, 0, NULL);
	printf("new\t%.17g\n", predicted);
	SQLFreeHandle(SQL_HANDLE_STMT, stmt);
}

static void
read_view(SQLHDBC con)
{
	SQLHSTMT	stmt = prepare(con, "SELECT id, cut, price, prediction, price < prediction FROM priced_stones ORDER BY id LIMIT 3");
	SQLINTEGER	id;
	char		cut[64],
				price[64],
				metrics[8192];
	double		prediction;
	unsigned char bargain;

	SQLExecute(stmt);
	printf("types");
	for (int i = 1; i <= 5; i++)
	{
		SQLLEN		type;

		SQLColAttribute(stmt, i, SQL_DESC_CONCISE_TYPE, NULL, 0, NULL, &type);
		printf("\t%ld", (long) type);
	}
	printf("\n");
	while (SQL_SUCCEEDED(SQLFetch(stmt)))
	{
		SQLGetData(stmt, 1, SQL_C_SLONG, &id, 0, NULL);
		SQLGetData(stmt, 2, SQL_C_CHAR, cut, sizeof(cut), NULL);
		SQLGetData(stmt, 3, SQL_C_CHAR, price, sizeof(price), NULL);
		SQLGetData(stmt, 4, SQL_C_DOUBLE, &prediction, 0, NULL);
		SQLGetData(stmt, 5, SQL_C_BIT, &bargain, 0, NULL);
		printf("view\t%d\t%s\t%s\t%.17g\t%d\n", (int) id, cut, price, prediction, bargain);
	}
	SQLFreeHandle(SQL_HANDLE_STMT, stmt);

	stmt = prepare(con, "SELECT ml_metrics(price, prediction) FROM priced_stones");
	SQLExecute(stmt);
	SQLFetch(stmt);
	SQLGetData(stmt, 1, SQL_C_CHAR, metrics, sizeof(metrics), NULL);	/* jsonb comes as text */
	printf("metrics\t%s\n", metrics);
	SQLFreeHandle(SQL_HANDLE_STMT, stmt);
}

static void *
cancel_when_it_runs(void *argument)
{
	SQLHDBC		con = connect_server();
	SQLHSTMT	stmt = prepare(con, "SELECT count(*) FROM ml.progress");
	SQLINTEGER	count = 0;

	while (count == 0)
	{
		usleep(100000);
		SQLExecute(stmt);
		SQLFetch(stmt);
		SQLGetData(stmt, 1, SQL_C_SLONG, &count, 0, NULL);
		SQLFreeStmt(stmt, SQL_CLOSE);
	}
	SQLCancel(running);
	return NULL;
}

int
main(void)
{
	SQLHDBC		con;
	SQLHSTMT	stmt;
	pthread_t	other;

	SQLAllocHandle(SQL_HANDLE_ENV, SQL_NULL_HANDLE, &environment);
	SQLSetEnvAttr(environment, SQL_ATTR_ODBC_VERSION, (SQLPOINTER) SQL_OV_ODBC3, 0);
	con = connect_server();
	train(con);
	score(con);
	read_view(con);

	stmt = prepare(con, "SELECT ml_predict(?, s) FROM stones s");
	bind_text(stmt, 1, "missing");
	failed("error", SQL_HANDLE_STMT, stmt, SQLExecute(stmt));

	running = prepare(con, "SELECT version FROM ml_train('stone', 'SELECT sin(i) AS x, i AS y "
					  "FROM (SELECT generate_series(1, 1000000000) AS i) s', target => 'y', algorithm => 'linear')");
	pthread_create(&other, NULL, cancel_when_it_runs, NULL);
	failed("cancel", SQL_HANDLE_STMT, running, SQLExecute(running));
	pthread_join(other, NULL);
	return 0;
}
