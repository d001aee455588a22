// The job with JDBC: java -cp postgresql.jar Jdbc.java
// The connection is that of PGHOST, PGPORT, PGUSER, PGDATABASE and PGPASSWORD; the driver speaks TCP only.
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.ResultSetMetaData;
import java.sql.SQLException;
import java.sql.Statement;
import java.sql.Types;
import java.util.Map;

public class Jdbc
{
	static Connection connect() throws SQLException
	{
		Map<String, String> env = System.getenv();
		return DriverManager.getConnection("jdbc:postgresql://" + env.get("PGHOST") + ":" + env.get("PGPORT") + "/" + env.get("PGDATABASE"),
			env.get("PGUSER"), env.get("PGPASSWORD"));
	}

	static void train(Connection con) throws SQLException
	{
		try (PreparedStatement s = con.prepareStatement("SELECT version, algorithm, rows_used FROM "
				+ "ml_train(?, ?, target => ?, algorithm => 'ridge', params => ?::jsonb, exclude => ?)"))
		{
			s.setString(1, "stone");
			s.setString(2, "stones");
			s.setString(3, "price");
			s.setString(4, "{\"l2\": 1}");
			s.setArray(5, con.createArrayOf("text", new String[] {"id"}));
			ResultSet r = s.executeQuery();
			r.next();
			System.out.println("train\t" + r.getInt(1) + "\t" + r.getString(2) + "\t" + r.getLong(3));
		}
	}

	// From its fifth execution on the driver prepares a statement on the server, and gets float8 as bytes.
	static void score(Connection con) throws SQLException
	{
		try (PreparedStatement s = con.prepareStatement("SELECT id, ml_predict(?, s) FROM stones s WHERE carat >= ? ORDER BY id"))
		{
			for (double carat : new double[] {0.9, 1, 1.05, 1.1, 1.15, 1.2, 1.25})
			{
				s.setString(1, "stone");
				s.setDouble(2, carat);
				for (ResultSet r = s.executeQuery(); r.next();)
					System.out.println("score\t" + carat + "\t" + r.getInt(1) + "\t" + r.getDouble(2));
			}
		}
		try (PreparedStatement s = con.prepareStatement("SELECT price_of(?, ?, ?)"))
		{
			s.setDouble(1, 0.1 + 0.2);
			s.setDouble(2, 61.5);
			s.setNull(3, Types.VARCHAR);
			ResultSet r = s.executeQuery();
			r.next();
			System.out.println("new\t" + r.getDouble(1));
		}
	}

	static void read(Connection con) throws SQLException
	{
		try (Statement s = con.createStatement())
		{
			ResultSet r = s.executeQuery("SELECT id, cut, price, prediction, price < prediction FROM priced_stones ORDER BY id LIMIT 3");
			ResultSetMetaData columns = r.getMetaData();
			System.out.print("types");
			for (int i = 1; i <= columns.getColumnCount(); i++)
				System.out.print("\t" + columns.getColumnClassName(i));
			System.out.println();
			while (r.next())
				System.out.println("view\t" + r.getInt(1) + "\t" + r.getString(2) + "\t" + r.getBigDecimal(3) + "\t" + r.getDouble(4)
					+ "\t" + r.getBoolean(5));

			r = s.executeQuery("SELECT m, (m->>'rmse')::float8 FROM (SELECT ml_metrics(price, prediction) AS m FROM priced_stones) t");
			r.next();
			System.out.println("metrics\t" + r.getString(1) + "\t" + r.getDouble(2));	// jsonb is text to the driver
		}
	}

	static void fail(Connection con) throws SQLException
	{
		try (PreparedStatement s = con.prepareStatement("SELECT ml_predict(?, s) FROM stones s"))
		{
			s.setString(1, "missing");
			s.executeQuery();
		}
		catch (SQLException e)
		{
			System.out.println("error\t" + e.getSQLState() + "\t" + e.getMessage());
		}
	}

	static void cancel(Connection con) throws Exception
	{
		try (Statement s = con.createStatement())
		{
			Thread other = new Thread(() -> {
				try (Connection second = connect(); Statement progress = second.createStatement())
				{
					ResultSet r;
					do
					{
						Thread.sleep(100);
						r = progress.executeQuery("SELECT count(*) FROM ml.progress");
						r.next();
					} while (r.getInt(1) == 0);
					s.cancel();
				}
				catch (Exception e)
				{
					System.out.println(e);
				}
			});
			other.start();
			s.executeQuery("SELECT version FROM ml_train('stone', 'SELECT sin(i) AS x, i AS y "
				+ "FROM (SELECT generate_series(1, 1000000000) AS i) s', target => 'y', algorithm => 'linear')");
		}
		catch (SQLException e)
		{
			System.out.println("cancel\t" + e.getSQLState() + "\t" + e.getMessage());
		}
	}

	public static void main(String[] arguments) throws Exception
	{
		try (Connection con = connect())
		{
			train(con);
			score(con);
			read(con);
			fail(con);
			cancel(con);
		}
	}
}
