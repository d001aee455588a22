# Recomputes test/data/fit_values.csv: what lm and glm of R say of each fit in test/data/fits.txt.
# Run from the top of the checkout: Rscript test/witness/fits.R > test/data/fit_values.csv
for (file in c("mtcars", "stackloss", "diabetes", "swiss", "cars", "women", "airquality", "warpbreaks", "ucla_admit",
               "spector", "insectsprays"))
  assign(file, read.csv(file.path("test/data", paste0(file, ".csv")), stringsAsFactors = TRUE))
# Levels in alphabetical order are the order of the data's documentation: L, M, H.
warpbreaks_l <- transform(warpbreaks, tension = factor(c(L = "1-L", M = "2-M", H = "3-H")[as.character(tension)]))

say <- function(fit, term, quantity, value)
  cat(sprintf("%s,%s,%s,%s\n", fit, term, quantity,
              ifelse(is.na(value), "", sprintf("%.15g", value))), sep = "")

# Standard errors at the estimates themselves: glm's are those of the iteration before the last.
converged <- function(call) {
  call$control <- quote(list(epsilon = 1e-15, maxit = 100))
  fit <- suppressWarnings(eval(call))
  for (i in 1:20) {
    call$start <- coef(fit)
    fit <- suppressWarnings(eval(call))
  }
  fit
}

cat("fit,term,quantity,value\n")
fits <- read.csv("test/data/fits.txt", sep = "|", quote = "", stringsAsFactors = FALSE)
for (i in seq_len(nrow(fits))) {
  name <- fits$fit[i]
  call <- parse(text = fits$r[i])[[1]]
  linear <- call[[1]] == "lm"
  fit <- if (linear) eval(call) else converged(call)
  table <- coef(summary(fit))
  term <- rownames(table)
  for (v in names(fit$xlevels))
    for (level in fit$xlevels[[v]])
      term[term == paste0(v, level)] <- paste0(v, "=", level)
  term[term == "(Intercept)"] <- "(intercept)"
  for (q in 1:4)
    say(name, term, c("estimate", "std_error", "statistic", "p_value")[q], table[, q])
  s <- summary(fit)
  if (linear) {
    f <- unname(s$fstatistic)
    say(name, "", "residual standard error", s$sigma)
    say(name, "", "residual degrees of freedom", fit$df.residual)
    say(name, "", "r squared", s$r.squared)
    say(name, "", "adjusted r squared", s$adj.r.squared)
    say(name, "", "f statistic", f[1])
    say(name, "", "f p-value", pf(f[1], f[2], f[3], lower.tail = FALSE))
    say(name, "", "aic", AIC(fit))
  } else {
    say(name, "", "null deviance", fit$null.deviance)
    say(name, "", "deviance", fit$deviance)
    if (fit$family$family %in% c("gaussian", "Gamma")) say(name, "", "dispersion", s$dispersion)
    say(name, "", "aic", fit$aic)
  }
  say(name, 1:3, "prediction", unname(fitted(fit)[1:3]))
  # Of a new observation for lm, of the mean for glm.
  if (linear)
    interval <- suppressWarnings(predict(fit, interval = "prediction", level = 0.9, weights = 1)[1:3, c("lwr", "upr")])
  else {
    eta <- predict(fit, se.fit = TRUE)
    q <- if (fit$family$family %in% c("gaussian", "Gamma")) qt(0.95, fit$df.residual) else qnorm(0.95)
    interval <- fit$family$linkinv(cbind(eta$fit - q * eta$se.fit, eta$fit + q * eta$se.fit)[1:3, ])
  }
  say(name, 1:3, "low", pmin(interval[, 1], interval[, 2]))
  say(name, 1:3, "high", pmax(interval[, 1], interval[, 2]))
}
