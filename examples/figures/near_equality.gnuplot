# Draws the table of near_equality.cpp:  gnuplot -e "table='near_equality.tsv'; picture='near_equality.svg'" near_equality.gnuplot
set terminal svg size 840,520 dynamic background rgb 'white' font 'Helvetica,14'
set output picture
set datafile separator '\t'
set key autotitle columnhead below height 0.5 spacing 1.3 samplen 2 maxrows 2
set logscale xy
set xrange [1:1e-10]
set yrange [1e-9:1e4]
set format x '10^{%T}'
set format y '10^{%T}'
set bmargin 8
set xlabel 'KL(q‖p), in double' offset 0,0.3
set ylabel 'relative error in float'
set grid xtics ytics lc rgb '#dddddd'
set samples 800
contract(kl) = kl >= 1e-3 ? 1e-5 : kl >= 5e-7 ? 3e-3 : 1/0
plot table using 1:(abs($2/$1-1)) with linespoints pt 4 lw 2 lc rgb '#b2182b' title 'q (log q − log p)', \
     table using 1:(abs($3/$1-1)) with linespoints pt 6 lw 2 lc rgb '#ef8a62' title 'the same, sums in double', \
     table using 1:(abs($4/$1-1)) with linespoints pt 7 lw 2 lc rgb '#1b7837' title 'Bregman summand: forward\_kl', \
     table using 1:($2 < 0 ? abs($2/$1-1) : 1/0) with points pt 2 ps 1.6 lw 2 lc rgb 'black' title 'negative value', \
     table using 1:($3 < 0 ? abs($3/$1-1) : 1/0) with points pt 2 ps 1.6 lw 2 lc rgb 'black' notitle, \
     contract(x) with lines dt 3 lw 2 lc rgb '#888888' title 'the contract'
