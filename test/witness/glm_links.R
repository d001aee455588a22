# Prints the expectations of test/unit/glm.c for links that are not canonical: the maximum by Newton's
# method with the observed information, begun at the mean, standard errors from the expected one. R's
# glm stops where scoring no longer moves the deviance, which leaves 1e-5 to 1e-8 of the estimates, and
# does not converge on the last case (it ends at a deviance of 200.6 after 500 iterations).
# Run from the top of the checkout: Rscript test/witness/glm_links.R
text <- paste(readLines("test/unit/glm.c"), collapse = " ")
array <- function(name)
  as.numeric(strsplit(sub(paste0(".*", name, "\\[\\] = \\{([^}]*)\\}.*"), "\\1", text), ",")[[1]])

bend <- function(link)
  switch(link, identity = function(e) 0 * e, log = exp, inverse = function(e) 2 / e^3, sqrt = function(e) 2 + 0 * e,
         probit = function(e) -e * dnorm(e), cloglog = function(e) exp(e - exp(e)) * (1 - exp(e)),
         cauchit = function(e) -2 * e / (pi * (1 + e^2)^2))
rise <- function(family)
  switch(family, gaussian = function(m) 0 * m, binomial = function(m) 1 - 2 * m, poisson = function(m) 1 + 0 * m,
         Gamma = function(m) 2 * m)

newton <- function(name, X, y, family, w = rep(1, length(y)), o = rep(0, length(y))) {
  X <- cbind(1, X)
  deviance <- function(X, b) {
    eta <- drop(X %*% b) + o
    mu <- family$linkinv(eta)
    if (!family$valideta(eta) || !family$validmu(mu)) Inf else sum(family$dev.resids(y, mu, w))
  }
  fit <- function(X, b) {
    for (i in 1:200) {
      eta <- drop(X %*% b) + o
      mu <- family$linkinv(eta)
      slope <- family$mu.eta(eta)
      V <- family$variance(mu)
      g <- drop(t(X) %*% (w * (y - mu) * slope / V))
      expected <- t(X) %*% (X * (w * slope^2 / V))
      observed <- t(X) %*% (X * (w * (slope^2 / V - (y - mu) *
        (bend(family$link)(eta) / V - slope^2 * rise(family$family)(mu) / V^2))))
      if (min(Re(eigen(solve(expected, observed), only.values = TRUE)$values)) < 0.05) observed <- expected
      step <- solve(observed, g)
      value <- sum(family$dev.resids(y, mu, w))
      length <- 1
      while (deviance(X, b + length * step) > value * (1 + 1e-13) && length > 1e-12) length <- length / 2
      b <- b + length * step
    }
    list(b = b, expected = expected, mu = mu, value = value)
  }
  begin <- family$linkfun(weighted.mean(y, w))
  best <- fit(X, c(begin, 0, 0))
  null <- fit(X[, 1, drop = FALSE], begin)
  df <- length(y) - 3
  estimated <- family$family %in% c("gaussian", "Gamma")
  dispersion <- if (estimated) sum(w * (y - best$mu)^2 / family$variance(best$mu)) / df else 1
  se <- sqrt(dispersion * diag(solve(best$expected)))
  z <- -abs(best$b / se)
  p <- 2 * if (estimated) pt(z, df) else pnorm(z)
  aic <- suppressWarnings(family$aic(y, w, best$mu, w, best$value)) + 2 * 3
  numbers <- function(x) paste0("{", paste(sprintf("%.17g", x), collapse = ", "), "}")
  cat(sprintf("\t{\"%s\", %s, %s, %s,\n\t\t%.17g, %.17g, %.17g},\n", name, numbers(best$b), numbers(se), numbers(p),
              best$value, null$value, aic))
}

made <- matrix(array("made_x"), ncol = 2, byrow = TRUE)
hard <- matrix(array("hard_x"), ncol = 2, byrow = TRUE)
newton("gamma identity", made, array("made_positive"), Gamma("identity"), w = array("made_weight"))
newton("gaussian inverse", made, array("made_positive"), gaussian("inverse"))
newton("poisson sqrt", made, array("made_count"), poisson("sqrt"))
newton("poisson identity", made, array("made_count"), poisson("identity"))
newton("binomial log", made, array("made_rare"), binomial("log"), w = array("made_weight"))
newton("scoring does not converge", hard, array("hard_y"), Gamma("identity"))
newton("binomial cauchit", made, array("made_share"), binomial("cauchit"), w = array("made_weight"))
